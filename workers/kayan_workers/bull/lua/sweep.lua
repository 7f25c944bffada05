-- sweep: delete what an obliterated queue has left under names of its own (debounce ids, groups of the limiter, hashes, logs and
-- locks of jobs that stood in no list); one step of a scan of the whole server.
--
-- KEYS     1 wait   any key of the queue, for the slot
-- ARGV     1 base   2 pattern   a glob over whole keys   3 cursor   4 step   keys to look at
-- Returns  the next cursor
-- Wire     wire document 3.16
local base = ARGV[1]

-- include: own_keys

local function is_left_over(rest)
  if string.find(rest, "^de:") or string.find(rest, "^limiter:") then
    return true
  end
  return is_job(base, rest) or string.find(rest, ":logs$") or string.find(rest, ":lock$")
end

local found = redis.call("SCAN", ARGV[3], "MATCH", ARGV[2], "COUNT", ARGV[4])
for _, key in ipairs(found[2]) do
  local rest = string.sub(key, #base + 1)
  if is_own(base, rest) and is_left_over(rest) then
    redis.call("UNLINK", key)
  end
end
return found[1]
