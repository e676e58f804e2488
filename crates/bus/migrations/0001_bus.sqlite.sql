-- How many partitions a topic has, and the offset that the next message of each gets.
CREATE TABLE bus_partitions (
    topic TEXT NOT NULL,
    part INTEGER NOT NULL,
    next_offset INTEGER NOT NULL,
    PRIMARY KEY (topic, part)
) WITHOUT ROWID;

-- headers is a JSON array of pairs.
CREATE TABLE bus_messages (
    topic TEXT NOT NULL,
    part INTEGER NOT NULL,
    message_offset INTEGER NOT NULL,
    key TEXT,
    headers TEXT NOT NULL,
    payload TEXT NOT NULL,
    published_at TEXT NOT NULL,
    PRIMARY KEY (topic, part, message_offset)
);

-- A member is alive as long as it counts its beat up.
CREATE TABLE bus_members (
    consumer_group TEXT NOT NULL,
    topic TEXT NOT NULL,
    member TEXT NOT NULL,
    beat INTEGER NOT NULL,
    PRIMARY KEY (consumer_group, topic, member)
) WITHOUT ROWID;

-- Who reads a partition, nobody where member is NULL. Taking one raises its generation; committed is the offset of the
-- first message that is still to be done.
CREATE TABLE bus_assignments (
    consumer_group TEXT NOT NULL,
    topic TEXT NOT NULL,
    part INTEGER NOT NULL,
    member TEXT,
    generation INTEGER NOT NULL,
    committed INTEGER NOT NULL,
    PRIMARY KEY (consumer_group, topic, part)
) WITHOUT ROWID;
