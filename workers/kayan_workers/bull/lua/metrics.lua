-- metrics: the per-minute counts of finished jobs.
--
-- KEYS     1 wait   any key of the queue, for the slot
-- ARGV     1 base   2 kind (completed | failed)   3 start   4 stop   positions in the list, 0 the newest minute
-- Returns  {count, prevTS, prevCount, {points}, how many points there are}   nil members where there are no metrics
-- Wire     Bull 4.16.5, getMetrics; wire document 3.8.6
local meta = ARGV[1] .. "metrics:" .. ARGV[2]
local data = meta .. ":data"
local fields = redis.call("HMGET", meta, "count", "prevTS", "prevCount")
return { fields[1], fields[2], fields[3], redis.call("LRANGE", data, ARGV[3], ARGV[4]), redis.call("LLEN", data) }
