-- REPLACE deletes the row that is in its way without asking the trigger against deleting. What is there already stays, as
-- with ON CONFLICT DO NOTHING.
CREATE TRIGGER audit_logs_are_not_replaced BEFORE INSERT ON audit_logs
WHEN EXISTS (SELECT 1 FROM audit_logs WHERE event_id = NEW.event_id OR id = NEW.id)
BEGIN
    SELECT RAISE(IGNORE);
END;
