DROP TABLE event_participants;
DROP TABLE hosted_events;
DROP TABLE list_members;
DROP TABLE list_items;
DROP TABLE lists;
