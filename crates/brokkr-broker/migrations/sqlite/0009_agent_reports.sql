-- What an agent says of itself with its signs of life. All of it is absent until an agent says so.
ALTER TABLE agents ADD COLUMN slots INTEGER CHECK (slots >= 0);
ALTER TABLE agents ADD COLUMN running INTEGER CHECK (running >= 0);
-- JSON: an array of {work_type, slots, unavailable}.
ALTER TABLE agents ADD COLUMN work_types TEXT;
ALTER TABLE agents ADD COLUMN version TEXT CHECK (length(version) <= 64);
-- When its maintenance window opens next, while that is closed.
ALTER TABLE agents ADD COLUMN window_opens_at INTEGER;
-- Why it claims nothing, whatever there is.
ALTER TABLE agents ADD COLUMN holds_back TEXT CHECK (holds_back IN ('window_closed', 'draining'));
ALTER TABLE agents ADD COLUMN reported_at INTEGER;

-- Which agents match an order is asked before it is submitted and while it waits, from the side of the order.
CREATE INDEX agent_labels_of_label ON agent_labels (label, agent_id);
CREATE INDEX agent_annotations_of_value ON agent_annotations (key, value, agent_id);
