-- whimbrel: purpose="Points were not a good idea"

DROP TABLE points;
