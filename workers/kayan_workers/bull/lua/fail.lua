-- fail: write down failed attempts, many at a time: the bookkeeping and what becomes of the job in one step, lock test first.
--
-- KEYS  1 wait  2 unstarted (ours)
-- ARGV  1 base  2 now  3 metrics_size
--       4… per job: id, token, fate (failed | delayed | retry), attemptsMade, stacktrace (JSON), failedReason, event (JSON),
--          keep_count, keep_age_ms, due (Unix ms, for delayed), low12 (for delayed), priority, lifo (1 or ''), debounce id or ''
-- Returns flat: id, code for each job that was not ours (codes as in settle)
-- Wire  Bull 4.16.5, saveStacktrace with moveToFinished, moveToDelayed or retryJob
-- include: push_waiting
-- include: retain
-- include: metrics
-- include: release_debounce
local call = redis.call
local base, now, metrics_size = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local unstarted = KEYS[2]
local refused, failures, doomed = {}, 0, {}

local function refusal(job, id, token)
  if call("EXISTS", job) == 0 then
    return -1
  end
  local holder = call("GET", job .. ":lock")
  if not holder then
    return -2
  end
  if holder ~= token then
    return -6
  end
  call("DEL", job .. ":lock")
  call("SREM", base .. "stalled", id)
  call("SREM", unstarted, id)
  if call("LREM", base .. "active", -1, id) == 0 then
    return -3
  end
  return nil
end

for at = 4, #ARGV, 14 do
  local id, fate = ARGV[at], ARGV[at + 2]
  local job = base .. id
  local code = refusal(job, id, ARGV[at + 1])
  if code then
    refused[#refused + 1] = id
    refused[#refused + 1] = code
  else
    call("HSET", job, "attemptsMade", ARGV[at + 3], "stacktrace", ARGV[at + 4], "failedReason", ARGV[at + 5])
    if fate == "delayed" then
      local score = string.format("%.0f", tonumber(ARGV[at + 9]) * 4096 + tonumber(ARGV[at + 10]))
      call("ZADD", base .. "delayed", score, id)
      call("PUBLISH", base .. "delayed", string.format("%.4f", tonumber(score) / 4096))
    elseif fate == "retry" then
      push_waiting(base, id, tonumber(ARGV[at + 11]) or 0, ARGV[at + 12] == "1")
    else
      failures = failures + 1
      release_debounce(base, ARGV[at + 13])
      local keep_count = tonumber(ARGV[at + 7])
      if keep_count == 0 then
        call("UNLINK", job, job .. ":logs")
      else
        call("HSET", job, "finishedOn", now)
        call("ZADD", base .. "failed", now, id)
        retain(base, base .. "failed", keep_count, tonumber(ARGV[at + 8]), now, doomed)
      end
      call("PUBLISH", base .. "failed", ARGV[at + 6])
    end
  end
end
unlink_all(doomed)
if metrics_size > 0 and failures > 0 then
  count_finished(base .. "metrics:failed", failures, now, metrics_size)
end
return refused
