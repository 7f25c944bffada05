-- fetch: the hashes of some jobs.
--
-- KEYS     1 wait   any key of the queue, for the slot
-- ARGV     1 base   2… job ids
-- Returns  per id the flat list of its hash's fields and values; empty for a job that is gone, and for a key that is no job's
-- Wire     Bull 4.16.5, getJob
local hashes = {}
for i = 2, #ARGV do
  local key = ARGV[1] .. ARGV[i]
  hashes[i - 1] = redis.call("TYPE", key).ok == "hash" and redis.call("HGETALL", key) or {}
end
return hashes
