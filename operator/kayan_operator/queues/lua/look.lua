-- look: how things stand with many queues, read in one step. A queue that was quiet at the last look, and still is, costs next to nothing.
--
-- Quiet are queues in which nothing waits and nothing runs. Of all of them together the counters of added jobs are read, and it is asked which
-- keys there are; only where that differs from the last look is it halved and asked again, down to the queues that have changed. They,
-- and those that were not quiet, are read closely.
--
-- KEYS     1 wait             any key of these queues, for the slot
-- ARGV     for each queue:
--          1 base             bull:<queue>:
--          2 look_ahead_ms    delayed jobs that are due within it count as due
--          3 window_ms        how far back finished jobs are counted
--          4 marks            of a quiet queue the letters of p (paused), d (delayed), m (meta-paused) whose keys there were, after a q;
--                             '' for others
--          5 added            of a quiet queue the counter at the last look
-- Returns  per queue: 0 quiet as before, or {wait, paused, active, delayed, due, next_due_ms, oldest_ms, is_paused, added, failed, finished},
--          or {key, error} of what could not be read. next_due_ms is from now to the first delayed job that is not due, oldest_ms since the
--          next job to be taken could have run; -1 where there is none
-- Wire     Bull 4.16.5, getJobCounts; score of delayed jobs: due_ms * 4096 + 12 bits that keep their order
local call, ARGV = redis.call, ARGV
local WIDTH = 5
local now, key

local function time_ms()
  if not now then
    local time = call("TIME")
    now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
  end
  return now
end

local function number(text)
  return tonumber(text or "") or 0
end

-- Since when the next job could have run (as next_waiting of the workers has it): a retry or a delay leaves no other trace in its hash.
local function waits_since(job)
  local fields = redis.pcall("HMGET", job, "timestamp", "opts", "processedOn", "retriedOn")
  local created = not fields.err and tonumber(fields[1] or "")
  if not created then
    return nil -- not a job at all: the next claim drops it
  end
  local delay = 0
  if fields[2] and string.find(fields[2], '"delay":[1-9]') then -- perhaps that of the backoff
    local is_json, opts = pcall(cjson.decode, fields[2])
    delay = is_json and type(opts) == "table" and tonumber(opts.delay) or 0
  end
  return math.max(created + delay, number(fields[3]), number(fields[4]))
end

local function read_delayed(base, look_ahead)
  key = base .. "delayed"
  local delayed = call("ZCARD", key)
  if delayed == 0 then
    return 0, 0, -1
  end
  local bound = string.format("%.0f", (time_ms() + look_ahead + 1) * 4096)
  local due, next_due = call("ZCOUNT", key, "-inf", "(" .. bound), -1
  if due < delayed then
    local first = call("ZRANGEBYSCORE", key, bound, "+inf", "WITHSCORES", "LIMIT", "0", "1")
    next_due = math.min(math.floor(tonumber(first[2]) / 4096) - time_ms(), 1e15)
  end
  return delayed, due, next_due
end

local function read(base, look_ahead, window)
  key = base .. "wait"
  local wait, oldest = call("LLEN", key), -1
  if wait > 0 then
    local since = waits_since(base .. call("LINDEX", key, "-1"))
    oldest = since and math.max(0, time_ms() - since) or -1
  end
  key = base .. "paused"
  local paused = call("LLEN", key)
  key = base .. "active"
  local active = call("LLEN", key)
  local delayed, due, next_due = read_delayed(base, look_ahead)
  key = base .. "meta-paused"
  local is_paused = call("EXISTS", key)
  key = base .. "id"
  local added = number(call("GET", key))
  local since = string.format("%.0f", time_ms() - window)
  key = base .. "failed"
  local failed = call("ZCOUNT", key, since, "+inf")
  key = base .. "completed"
  local completed = call("ZCOUNT", key, since, "+inf")
  return {wait, paused, active, delayed, due, next_due, oldest, is_paused, added, failed, completed + failed}
end

local answers, quiet, counters = {}, {}, {}

local function read_closely(n)
  local at = (n - 1) * WIDTH
  local is_read, answer = pcall(read, ARGV[at + 1], tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3]))
  if not is_read then
    answer = {key, type(answer) == "table" and answer.err or tostring(answer)}
  end
  answers[n] = answer
end

-- By its marks, the names of the keys that a quiet queue had and had not.
local names = {}

local function names_of(marks)
  local present, absent = {}, {"wait", "active"}
  for mark, name in pairs({p = "paused", d = "delayed", m = "meta-paused"}) do
    local some = string.find(marks, mark, 1, true) and present or absent
    some[#some + 1] = name
  end
  names[marks] = {present, absent}
  return names[marks]
end

local function is_as_before(first, last)
  local absent, absences, present, presences = {}, 0, {}, 0
  for i = first, last do
    local at = (quiet[i] - 1) * WIDTH
    local base, marks = ARGV[at + 1], ARGV[at + 4]
    local there, not_there = unpack(names[marks] or names_of(marks))
    for j = 1, #not_there do
      absences = absences + 1
      absent[absences] = base .. not_there[j]
    end
    for j = 1, #there do
      presences = presences + 1
      present[presences] = base .. there[j]
    end
  end
  return call("EXISTS", unpack(absent)) == 0 and (presences == 0 or call("EXISTS", unpack(present)) == presences)
end

local function find_changed(first, last)
  if first > last then
    return
  end
  if is_as_before(first, last) then
    for i = first, last do
      answers[quiet[i]] = 0
    end
  elseif first == last then
    read_closely(quiet[first])
  else
    local middle = math.floor((first + last) / 2)
    find_changed(first, middle)
    find_changed(middle + 1, last)
  end
end

for n = 1, #ARGV / WIDTH do
  local at = (n - 1) * WIDTH
  if ARGV[at + 4] == "" then
    read_closely(n)
  else
    quiet[#quiet + 1] = n
    counters[#counters + 1] = ARGV[at + 1] .. "id"
  end
end
if #quiet > 0 then
  local were_quiet, added = quiet, call("MGET", unpack(counters))
  quiet = {}
  for i, n in ipairs(were_quiet) do
    if number(added[i]) == number(ARGV[n * WIDTH]) then
      quiet[#quiet + 1] = n
    else
      read_closely(n)
    end
  end
  find_changed(1, #quiet)
end
return answers
