-- whimbrel: purpose="Counts that the new application reads"
-- whimbrel: requires=account:0002

UPDATE file_metadata f
SET chunk_count = (SELECT count(*) FROM document_chunks c WHERE c.file_id = f.id);

UPDATE conversations v
SET message_count = (SELECT count(*) FROM chat_messages m WHERE m.conversation_id = v.id);
