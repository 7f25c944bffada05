-- priorities: how many waiting jobs have each of some priorities.
--
-- KEYS     1 wait   any key of the queue, for the slot
-- ARGV     1 base   2… priorities; 0 counts the jobs without one
-- Returns  a count per priority
-- Wire     Bull 4.16.5, getCountsPerPriority
local base = ARGV[1]
local index = base .. "priority"

-- include: push_waiting

local counts = {}
for i = 2, #ARGV do
  if tonumber(ARGV[i]) == 0 then
    counts[i - 1] = math.max(0, redis.call("LLEN", waiting_list(base)) - redis.call("ZCARD", index))
  else
    counts[i - 1] = redis.call("ZCOUNT", index, ARGV[i], ARGV[i])
  end
end
return counts
