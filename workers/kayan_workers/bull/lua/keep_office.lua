-- keep_office: hold the office of a queue's caretaker, and do its most frequent chore in the same step: promote what is due.
--
-- KEYS  1 office (ours)  2 delayed
-- ARGV  1 who  2 office_ms  3 base  4 events (suffix of the event channels)  5 now
-- Returns {1 when `who` holds the office now else 0, lowest score left in `delayed` or ''}
-- Wire  Bull 4.16.5, updateDelaySet
-- include: promote_due
local holder = redis.call("GET", KEYS[1])
if holder and holder ~= ARGV[1] then
  return {0, ""}
end
redis.call("SET", KEYS[1], ARGV[1], "PX", ARGV[2])
return {1, promote_due(ARGV[3], ARGV[4], tonumber(ARGV[5])) or ""}
