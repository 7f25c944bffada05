-- next_waiting: what the hash of the next job says about when it was due.
--
-- KEYS     1 wait
-- ARGV     1 base
-- Returns  {} when nothing waits, else {id, timestamp, opts, processedOn, retriedOn}, each but the id nil where it is missing
local id = redis.call("LINDEX", KEYS[1], -1)
if not id then
  return {}
end
local fields = redis.pcall("HMGET", ARGV[1] .. id, "timestamp", "opts", "processedOn", "retriedOn")
if fields.err then
  return {}  -- not a job at all: the next claim drops it
end
return {id, unpack(fields, 1, 4)}
