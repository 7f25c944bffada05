-- retry_failed: let some failed jobs run once more, those that failed first. As with Bull: without priority and events.
--
-- KEYS     1 wait   any key of the queue, for the slot
-- ARGV     1 base   2 most   how many in this call, up to 5000
-- Returns  how many wait again
-- Wire     Bull 4.16.5, retryJobs; wire document 3.12
local base, most = ARGV[1], tonumber(ARGV[2])

-- include: push_waiting

local ids = redis.call("ZRANGE", base .. "failed", 0, most - 1)
if #ids == 0 then
  return 0
end
local present = {}
for _, id in ipairs(ids) do
  if redis.call("EXISTS", base .. id) == 1 then
    redis.call("HDEL", base .. id, "finishedOn", "processedOn", "failedReason")
    present[#present + 1] = id
  end
end
redis.call("ZREM", base .. "failed", unpack(ids))
if #present > 0 then
  redis.call("LPUSH", waiting_list(base), unpack(present))
end
return #ids
