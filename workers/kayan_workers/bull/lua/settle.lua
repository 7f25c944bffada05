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
--       5 token                a claimed job is locked under <token>.<id>
--       6 want                 how many jobs to claim, 0 for none
--       7 turn_token           given back when it is still the current one; '' for none
--       8 say_drained          1: tell listeners when nothing is left to claim
--       9 metrics_size         minutes kept in Bull's metrics, 0 for none
--      10 limit_max, 11 limit_ms, 12 limit_grouped    rate limiter; limit_max 0 for none
--      13 jobs                how many to finish, then for each: id, token, returnvalue (JSON), event (JSON), debounce id or ''
--         …                     then for each run of jobs with one retention policy: length, keep_count (-1 all, 0 none),
--                               keep_age_ms (-1 any)
-- Returns {refused, claimed, fenced, gone}
--   refused   flat: id, code for each finish that was not ours: -1 no such job, -2 no lock, -3 not active, -6 another's lock
--   claimed   per job: the hash members of FIELDS below, then stacktrace (after a failed attempt) and the id
--   gone      ids that were dropped because there is no such hash
-- Wire  Bull 4.16.5, moveToFinished and moveToActive
-- include: promote_due
-- include: retain
-- include: metrics
-- include: limiter
-- include: release_debounce
local call, ARGV = redis.call, ARGV
local wait, turn, unstarted, fence = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local base, now, lock_ms, events, token = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4], ARGV[5]
local now_text = ARGV[2] -- written as it came: Redis takes twice as long over a number
local want, turn_token, metrics_size = tonumber(ARGV[6]), ARGV[7], tonumber(ARGV[9])
local active, completed, stalled = base .. "active", base .. "completed", base .. "stalled"
local jobs, FIRST, STEP = tonumber(ARGV[13]), 14, 5

-- Everything the decisions need, read at once: who holds the locks, whether the hashes are there, the fence, the turn.
local locks, hashes = {}, {}
for n = 1, jobs do
  local hash = base .. ARGV[FIRST + (n - 1) * STEP]
  hashes[n] = hash
  locks[n] = hash .. ":lock"
end
locks[jobs + 1] = fence
locks[jobs + 2] = turn .. ":current"
local holders = call("MGET", unpack(locks))
local fenced, current_turn = holders[jobs + 1], holders[jobs + 2]
local all_there = jobs == 0 or call("EXISTS", unpack(hashes)) == jobs

local refused, refusals = {}, 0
local function refuse(id, code)
  refused[refusals + 1] = id
  refused[refusals + 2] = code
  refusals = refusals + 2
end

-- Whose lock is still the caller's; the others are refused.
local is_ours, ours, our_count = {}, {}, 0
for n = 1, jobs do
  local at = FIRST + (n - 1) * STEP
  if not all_there and call("EXISTS", hashes[n]) == 0 then
    refuse(ARGV[at], -1)
  elseif not holders[n] then
    refuse(ARGV[at], -2)
  elseif holders[n] ~= ARGV[at + 1] then
    refuse(ARGV[at], -6)
  else
    our_count = our_count + 1
    ours[our_count] = ARGV[at]
    is_ours[n] = true
  end
end

-- Jobs that finish together are taken off `active` in one go: its tail, where the oldest are, is read until it holds them all, and
-- written again without them. LREM would walk along the list for each of them; that is cheaper only for a few that are not the tail.
local left, FEW = {}, 40

-- Returns the tail, the place in it of the deepest of ours (nil: leave it alone), and how many of ours are in it.
local function read_tail(is_mine)
  local reach, most = our_count, our_count
  if our_count >= FEW then
    most = call("LLEN", active)
  end
  while true do
    local tail, found, deepest = call("LRANGE", active, -reach, "-1"), 0, nil
    for i = #tail, 1, -1 do
      local seen = is_mine[tail[i]]
      if seen then
        deepest = i
        if seen ~= reach then -- an id may be there twice
          is_mine[tail[i]] = reach
          found = found + 1
        end
      end
    end
    if found == our_count or reach >= most then
      return tail, (found == our_count or our_count >= FEW) and deepest, found
    end
    reach = reach * 2
  end
end

local function leave_together()
  local is_mine = {}
  for i = 1, our_count do
    is_mine[ours[i]] = 0
  end
  local tail, deepest, found = read_tail(is_mine)
  if not deepest then
    return
  end
  if found == #tail and found == our_count then
    left = is_mine
    call("LTRIM", active, "0", -found - 1)
    return
  end
  local others, kept = {}, #tail
  for i = #tail, deepest, -1 do
    local id = tail[i]
    if is_mine[id] and not left[id] then
      left[id] = true
    else
      others[kept] = id
      kept = kept - 1
    end
  end
  call("LTRIM", active, "0", deepest - #tail - 2)
  for first = kept + 1, #tail, 5000 do
    call("RPUSH", active, unpack(others, first, math.min(first + 4999, #tail)))
  end
end

if our_count > 2 then
  leave_together()
end

local healthy, health, doomed, doom = {}, 0, {}, 0

local function finish(n, keep)
  local at = FIRST + (n - 1) * STEP
  doom = doom + 1
  doomed[doom] = locks[n]
  if not left[ARGV[at]] and call("LREM", active, "-1", ARGV[at]) == 0 then
    refuse(ARGV[at], -3)
    return false
  end
  health = health + 1
  healthy[health] = ARGV[at]
  if keep then
    call("HSET", hashes[n], "returnvalue", ARGV[at + 2], "finishedOn", now_text)
  else
    doomed[doom + 1] = hashes[n]
    doomed[doom + 2] = hashes[n] .. ":logs"
    doom = doom + 2
  end
  if ARGV[at + 4] ~= "" then
    release_debounce(base, ARGV[at + 4])
  end
  call("PUBLISH", completed, ARGV[at + 3])
  return true
end

local at, n = FIRST + jobs * STEP, 0
while ARGV[at] do
  local last, keep_count, keep_age_ms = n + tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local scored, scores, surplus = {}, 0, 0
  if keep_count >= 0 and last - n > keep_count then
    surplus = -keep_count
    for m = n + 1, last do
      surplus = surplus + (is_ours[m] and 1 or 0)
    end
  end
  while n < last do
    n = n + 1
    if is_ours[n] then
      -- of more than are kept the first would be forgotten in this same step
      local keep = surplus <= 0
      surplus = surplus - 1
      if finish(n, keep) and keep then
        scored[scores + 1] = now_text
        scored[scores + 2] = ARGV[FIRST + (n - 1) * STEP]
        scores = scores + 2
      end
    end
  end
  if scores > 0 then
    call("ZADD", completed, unpack(scored))
    doom = retain(base, completed, keep_count, keep_age_ms, now, doomed)
  end
  at = at + 3
end
unlink_all(doomed)
if health > 0 then
  call("SREM", unstarted, unpack(healthy))
  if metrics_size > 0 then
    count_finished(base .. "metrics:completed", health, now, metrics_size)
  end
end

-- The turn goes on: whoever gets it wakes only after this script.
if turn_token ~= "" and current_turn == turn_token then
  call("RPUSH", turn, turn_token)
end

local claimed, taken, count, prioritised, gone, bytes = {}, {}, 0, {}, {}, 0
local announcements = active .. "@" .. events
local limit_max, limit_ms, limit_grouped = tonumber(ARGV[10]), tonumber(ARGV[11]), ARGV[12] == "1"

local function claim(id)
  local job = base .. id
  local fields = redis.pcall("HMGET", job, "name", "data", "opts", "timestamp", "priority", "attemptsMade")
  if fields.err or not (fields[2] or fields[1] or fields[4]) then
    call("LREM", active, "1", id) -- evicted, or not a job at all: running it would leave a ghost behind
    gone[#gone + 1] = id
    prioritised[#prioritised + 1] = id
    return
  end
  if limit_max > 0 and held_back(base, id, now, limit_max, limit_ms, limit_grouped) then
    return
  end
  if not call("SET", job .. ":lock", token .. "." .. id, "NX", "PX", lock_ms) then
    -- somebody runs it already: one entry in `active` is enough for its owner to finish it
    if #call("LPOS", active, id, "COUNT", "2") > 1 then
      call("LREM", active, "1", id)
    end
    return
  end
  if fields[5] ~= "0" then
    prioritised[#prioritised + 1] = id
  end
  call("HSET", job, "processedOn", now_text)
  call("PUBLISH", announcements, id)
  fields[7] = fields[6] and fields[6] ~= "0" and call("HGET", job, "stacktrace")
  fields[8] = id
  bytes = bytes + #(fields[2] or "")
  count = count + 1
  taken[count] = id
  claimed[count] = fields
end

if want > 0 and not fenced then
  promote_due(base, events, now)
  -- A few at a time, and no more once the payloads are large or the limiter turns most of them away: whoever watches comes again.
  local looked = 0
  while count < want and looked < want + 200 and bytes < 4000000 do
    local ids = call("RPOP", wait, limit_max > 0 and 1 or math.min(want - count, 16))
    if not ids then
      break
    end
    call("LPUSH", active, unpack(ids))
    looked = looked + #ids
    for i = 1, #ids do
      claim(ids[i])
      health = health + 1
      healthy[health] = ids[i]
    end
  end
  if count > 0 then
    call("SADD", unstarted, unpack(taken))
  end
  if #prioritised > 0 then
    call("ZREM", base .. "priority", unpack(prioritised))
  end
end
if health > 0 then
  call("SREM", stalled, unpack(healthy))
end
if ARGV[8] == "1" and count == 0 and not fenced and (want > 0 or call("EXISTS", wait) == 0) then
  call("PUBLISH", base .. "drained", "")
end
return {refused, claimed, fenced and want > 0 and 1 or 0, gone}
