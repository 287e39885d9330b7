-- The counts that the application reads are those of the rows.
SELECT f.id, f.chunk_count FROM file_metadata f
WHERE f.chunk_count <> (SELECT count(*) FROM document_chunks c WHERE c.file_id = f.id);
SELECT v.id, v.message_count FROM conversations v
WHERE v.message_count <> (SELECT count(*) FROM chat_messages m WHERE m.conversation_id = v.id);
