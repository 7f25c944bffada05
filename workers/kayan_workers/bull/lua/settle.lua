-- settle: finish completed jobs and claim the next ones, many at a time, in one step.
--
-- Finishing: whoever holds the lock's token writes the result, takes the job off `active`, lets retention pass over the set and
-- tells the listeners. Anyone else writes nothing and is told so. Claiming: due delayed jobs are promoted, then up to `want` ids go
-- from the tail of `wait` to the head of `active`, each locked under a token of its own before anybody hears of it. An id whose
-- hash is gone is dropped; one that is locked already is left to its owner.
--
-- KEYS  1 wait  2 turn (ours)  3 unstarted (ours)  4 fence (ours)
-- ARGV  1 base                 bull:<queue>:
--       2 now                  Unix ms, the caller's clock
--       3 lock_ms              how long a claimed job is locked
--       4 events               suffix of the event channels
--       5 token                the i-th claimed job is locked under <token>.<i>
--       6 want                 how many jobs to claim, 0 for none
--       7 turn_token           given back when it is still the current one; '' for none
--       8 say_drained          1: tell listeners when there was nothing to claim
--       9 metrics_size         minutes kept in Bull's metrics, 0 for none
--      10 limit_max, 11 limit_ms, 12 limit_grouped    rate limiter; limit_max 0 for none
--      13… runs of jobs with one retention policy: count, keep_count (-1 all, 0 none), keep_age_ms (-1 any), then per job
--          id, token, returnvalue (JSON), event (JSON), debounce id or ''
-- Returns {refused, claimed, next_due, fenced}
--   refused   flat: id, code for each finish that was not ours: -1 no such job, -2 no lock, -3 not active, -6 another's lock
--   claimed   flat: id, then the hash members of FIELDS below, per job
--   next_due  lowest score left in `delayed`, or ''
-- Wire  Bull 4.16.5, moveToFinished and moveToActive
-- include: promote_due
-- include: retain
-- include: metrics
-- include: limiter
-- include: release_debounce
local FIELDS = {"name", "data", "opts", "timestamp", "priority", "attemptsMade", "stacktrace", "deid", "delay", "stalledCounter"}
local call = redis.call
local wait, turn, unstarted, fence = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local base, now, lock_ms, events, token = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4], ARGV[5]
local want, metrics_size = tonumber(ARGV[6]), tonumber(ARGV[9])
local active, completed, stalled = base .. "active", base .. "completed", base .. "stalled"
local refused = {}

local function refuse(id, code)
  refused[#refused + 1] = id
  refused[#refused + 1] = code
end

local function finish_run(first, count, keep_count, keep_age_ms)
  local locks, hashes = {}, {}
  for i = 1, count do
    local id = ARGV[first + (i - 1) * 5]
    hashes[i] = base .. id
    locks[i] = hashes[i] .. ":lock"
  end
  local holders = call("MGET", unpack(locks))
  local all_there = call("EXISTS", unpack(hashes)) == count
  local freed, ids, scored, gone = {}, {}, {}, {}
  for i = 1, count do
    local at = first + (i - 1) * 5
    local id = ARGV[at]
    if not all_there and call("EXISTS", hashes[i]) == 0 then
      refuse(id, -1)
    elseif not holders[i] then
      refuse(id, -2)
    elseif holders[i] ~= ARGV[at + 1] then
      refuse(id, -6)
    else
      freed[#freed + 1] = locks[i]
      if call("LREM", active, -1, id) == 0 then
        refuse(id, -3)
      else
        ids[#ids + 1] = id
        if keep_count == 0 then
          gone[#gone + 1] = hashes[i]
          gone[#gone + 1] = hashes[i] .. ":logs"
        else
          scored[#scored + 1] = now
          scored[#scored + 1] = id
          call("HSET", hashes[i], "returnvalue", ARGV[at + 2], "finishedOn", now)
        end
        release_debounce(base, ARGV[at + 4])
        call("PUBLISH", completed, ARGV[at + 3])
      end
    end
  end
  if #freed > 0 then
    call("DEL", unpack(freed))
  end
  if #ids == 0 then
    return
  end
  call("SREM", stalled, unpack(ids))
  call("SREM", unstarted, unpack(ids))
  if #gone > 0 then
    call("UNLINK", unpack(gone))
  end
  if #scored > 0 then
    call("ZADD", completed, unpack(scored))
    retain(base, completed, keep_count, keep_age_ms, now)
  end
  if metrics_size > 0 then
    count_finished(base .. "metrics:completed", #ids, now, metrics_size)
  end
end

local at = 13
while ARGV[at] do
  local count = tonumber(ARGV[at])
  finish_run(at + 3, count, tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]))
  at = at + 3 + count * 5
end

-- The turn goes on before anything else can fail: whoever gets it wakes only after this script.
if ARGV[7] ~= "" and call("GET", turn .. ":current") == ARGV[7] then
  call("RPUSH", turn, ARGV[7])
end

if want <= 0 then
  return {refused, {}, "", 0}
end
if call("EXISTS", fence) == 1 then
  return {refused, {}, "", 1}
end

local next_due = promote_due(base, events, now) or ""
local limit_max, limit_ms, limit_grouped = tonumber(ARGV[10]), tonumber(ARGV[11]), ARGV[12] == "1"
local claimed, taken, prioritised = {}, {}, {}

local function claim(id)
  local job = base .. id
  local fields = redis.pcall("HMGET", job, unpack(FIELDS))
  if fields.err or not (fields[1] or fields[2] or fields[4]) then
    call("LREM", active, 1, id) -- removed meanwhile, or not a job at all: running it would leave a ghost behind
    prioritised[#prioritised + 1] = id
    return
  end
  if limit_max > 0 and held_back(base, id, now, limit_max, limit_ms, limit_grouped) then
    return
  end
  local index = #taken + 1
  if not call("SET", job .. ":lock", token .. "." .. index, "NX", "PX", lock_ms) then
    -- somebody runs it already: one entry in `active` is enough for its owner to finish it
    local entries = call("LPOS", active, id, "COUNT", 2)
    if #entries > 1 then
      call("LREM", active, 1, id)
    end
    return
  end
  if fields[5] ~= "0" then
    prioritised[#prioritised + 1] = id
  end
  taken[index] = id
  call("HSET", job, "processedOn", now)
  call("PUBLISH", active .. "@" .. events, id)
  local n = #claimed
  claimed[n + 1] = id
  for i = 1, #FIELDS do
    claimed[n + 1 + i] = fields[i]
  end
end

while #taken < want do
  local ids = call("RPOP", wait, limit_max > 0 and 1 or want - #taken)
  if not ids then
    break
  end
  call("LPUSH", active, unpack(ids))
  call("SREM", stalled, unpack(ids))
  for _, id in ipairs(ids) do
    claim(id)
  end
end

if #taken > 0 then
  call("SADD", unstarted, unpack(taken))
elseif ARGV[8] == "1" then
  call("PUBLISH", base .. "drained", "")
end
if #prioritised > 0 then
  call("ZREM", base .. "priority", unpack(prioritised))
end
return {refused, claimed, next_due, 0}
