-- remove_matching: delete jobs whose id matches a pattern, unless a worker holds them; one step of a scan of the whole server.
--
-- Only hashes that are jobs: Bull also takes `meta`, `metrics:…` and `limiter:index` for such. And only this queue's: another
-- whose name goes on after a colon (mail, mail:vip) has the same beginning of its keys.
--
-- KEYS     1 wait        any key of the queue, for the slot
--          2 schedules   kayan:schedules:bull:<queue>
-- ARGV     1 base   2 pattern   a glob over whole keys   3 cursor   4 step   keys to look at
-- Returns  {next cursor, {removed ids}}
-- Wire     Bull 4.16.5, removeJobs; wire document 3.13
local base = ARGV[1]

-- include: take_off
-- include: forget_job
-- include: own_keys

local found = redis.call("SCAN", ARGV[3], "MATCH", ARGV[2], "COUNT", ARGV[4])
local removed = {}
for _, key in ipairs(found[2]) do
  local id = string.sub(key, #base + 1)
  if is_job(base, id) and redis.call("EXISTS", key .. ":lock") == 0 then
    take_off(base, id)
    forget_job(base, KEYS[2], id)
    removed[#removed + 1] = id
  end
end
return { found[1], removed }
