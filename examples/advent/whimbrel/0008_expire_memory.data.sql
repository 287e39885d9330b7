-- whimbrel: purpose="Memories whose time has run out are cleaned up"

DELETE FROM memory_fragment WHERE expires_at < :run_started_at;
