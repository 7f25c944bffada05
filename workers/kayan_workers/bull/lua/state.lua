-- state: where a job stands.
--
-- KEYS     1 wait   any key of the queue, for the slot
-- ARGV     1 base   2 job_id
-- Returns  completed | failed | delayed | active | waiting | paused, `stuck` for a hash in none of them, nil for no job
-- Wire     Bull 4.16.5, getState; wire document 5
local base, job_id = ARGV[1], ARGV[2]

-- include: whereabouts

local state = where_is(base, job_id)
return state or (redis.call("EXISTS", base .. job_id) == 1 and "stuck") or nil
