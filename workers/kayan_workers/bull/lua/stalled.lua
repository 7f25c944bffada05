-- stalled: find jobs that were active at the last pass and are locked by nobody now; give them back, or up.
--
-- One effective pass per interval and queue, whoever calls: the guard key is Bull's own. A job that was claimed by a worker of ours
-- and never started is given back without counting a stall, once a day at most (a job whose very first steps kill the process would
-- go round for ever otherwise). A job over the limit fails with Bull's own words.
--
-- A thousand jobs a call at most, so that the death of a fleet with fifty thousand jobs in hand does not stop Redis: the caller calls
-- again to go on with its pass. `active` is walked from its head, so that what is put back last, to run first, is the oldest; and
-- there what is taken off costs next to nothing to find.
--
-- KEYS  1 stalled  2 unstarted (ours)  3 forgiven (ours)
-- ARGV  1 base  2 now  3 guard_ms (life of the guard)  4 max_stalled_count  5 going_on (1: whatever the guard says)
-- Returns {failed ids, stalled ids, forgiven ids, next pass in ms (when another's guard stands), 1 when the pass is to go on}
-- Wire  Bull 4.16.5, moveStalledJobsToWait, with the retention of moveToFinished
-- include: push_waiting
-- include: retain
-- include: release_debounce
local call = redis.call
local stalled, unstarted, forgiven = KEYS[1], KEYS[2], KEYS[3]
local base, now, max = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[4])
local active, guard = base .. "active", base .. "stalled-check"
local failed_ids, stalled_ids, forgiven_ids = {}, {}, {}
local MOST = 1000

if ARGV[5] ~= "1" and not call("SET", guard, now, "NX", "PX", ARGV[3]) then
  return {failed_ids, stalled_ids, forgiven_ids, call("PTTL", guard), 0}
end

local function policy(job)
  local ok, opts = pcall(function() return cjson.decode(call("HGET", job, "opts") or "{}") end)
  local keep = ok and type(opts) == "table" and opts["removeOnFail"]
  if keep == true then
    return 0, -1
  elseif type(keep) == "number" then
    return keep < 0 and -1 or math.floor(keep), -1
  elseif type(keep) == "string" then
    return keep == "" and -1 or 0, -1
  elseif type(keep) == "table" then
    local count, age = tonumber(keep["count"]) or -1, tonumber(keep["age"]) or -1
    return count < 0 and -1 or math.floor(count), age < 0 and -1 or math.floor(age * 1000)
  end
  return -1, -1
end

local function count_stall(job)
  local count = redis.pcall("HINCRBY", job, "stalledCounter", 1)
  if type(count) == "number" then
    return count
  end
  call("HSET", job, "stalledCounter", 1) -- it was no number, and an error here would lose the job from every list
  return 1
end

local function give_up(id, job)
  failed_ids[#failed_ids + 1] = id
  release_debounce(base, call("HGET", job, "deid") or "")
  local keep_count, keep_age_ms = policy(job)
  if keep_count == 0 then
    call("UNLINK", job, job .. ":logs")
  else
    call("HSET", job, "failedReason", "job stalled more than allowable limit", "finishedOn", now)
    call("ZADD", base .. "failed", now, id)
    local doomed = {}
    retain(base, base .. "failed", keep_count, keep_age_ms, now, doomed)
    unlink_all(doomed)
  end
  call("PUBLISH", base .. "failed", '{"jobId":' .. cjson.encode(id) .. ', "val": "job stalled more than maxStalledCount"}')
end

local function give_back(id)
  push_front(base, id)
  call("PUBLISH", base .. "stalled@", id)
end

local function recover(id)
  local job = base .. id
  if call("TYPE", job).ok ~= "hash" then
    call("ZREM", base .. "priority", id)
  elseif call("SREM", unstarted, id) == 1 and call("SADD", forgiven, id) == 1 then
    call("PEXPIRE", forgiven, 86400000)
    forgiven_ids[#forgiven_ids + 1] = id
    give_back(id)
  elseif count_stall(job) > max then
    give_up(id, job)
  else
    stalled_ids[#stalled_ids + 1] = id
    give_back(id)
  end
end

local suspects = {}
for _, id in ipairs(call("SMEMBERS", stalled)) do
  suspects[id] = true
end
if next(suspects) then
  local looked = 0
  for _, id in ipairs(call("LRANGE", active, 0, -1)) do
    if suspects[id] then
      if looked == MOST then
        return {failed_ids, stalled_ids, forgiven_ids, 0, 1}
      end
      looked = looked + 1
      suspects[id] = nil
      call("SREM", stalled, id)
      if call("EXISTS", base .. id .. ":lock") == 0 and call("LREM", active, 1, id) > 0 then
        recover(id)
      end
    end
  end
end

call("DEL", stalled)
local ids = call("LRANGE", active, 0, -1)
for first = 1, #ids, 1000 do
  call("SADD", stalled, unpack(ids, first, math.min(first + 999, #ids)))
end
return {failed_ids, stalled_ids, forgiven_ids, 0, 0}
