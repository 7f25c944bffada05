-- choose: who is busy, and in the same step a fence for some of those who are not.
--
-- A pod is busy while a job in one of the `active` lists is locked under a token of its own, <pod>/<random>; a token without a slash is
-- Node's and stands for no pod. Workers claim in one step too and look for their fence in it (settle.lua), so whoever is found idle and
-- fenced here holds no job and gets none.
--
-- KEYS     1 term (ours)
--          2… actives         bull:<queue>:active of each of the q queues that these pods serve
-- ARGV     1 term             of who asks; an error that begins with OUTDATED when it is over
--          2 want             how many pods to fence; 0 only reads, which anybody may
--          3 ttl_ms           how long a fence stands
--          4 most             active jobs of all queues together; with more of them nothing is done
--          5 given            how many ids of the first queue are looked at instead of all active ones; 0 for these
--          6 heads            how many names a fence begins with (one for each hash tag of the queues), then these names
--          …                  q bases bull:<queue>:, then the given ids, then the candidates, the first to go first
-- Returns  the number of active jobs when it is above most, else {fenced, busy, now_ms}
--   fenced   pods
--   busy     flat: pod, its jobs, when its oldest started in Unix ms by the clock of the worker (-1 unknown)
local call, ARGV = redis.call, ARGV
local want, ttl_ms, most, given, heads = tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local bases = 6 + heads
local queues = #KEYS - 1
local ids_given = bases + queues
local candidates = ids_given + given
local AT_ONCE = 1000

local pods, jobs, oldest = {}, {}, {}

local function started_at(job)
  local moment = redis.pcall("HGET", job, "processedOn")
  return type(moment) == "string" and tonumber(moment) or nil
end

-- The head of a list is the newest job, so of each pod the one that is seen first from the tail started first.
local function count_jobs(ids, base)
  local seen = {}
  for from = #ids, 1, -AT_ONCE do
    local locks, count = {}, 0
    for i = from, math.max(from - AT_ONCE + 1, 1), -1 do
      count = count + 1
      locks[count] = base .. ids[i] .. ":lock"
    end
    local holders = call("MGET", unpack(locks))
    for i = 1, count do
      local holder = holders[i]
      local slash = holder and string.find(holder, "/", 1, true)
      if slash then
        local pod = string.sub(holder, 1, slash - 1)
        if not jobs[pod] then
          pods[#pods + 1] = pod
          jobs[pod] = 0
        end
        jobs[pod] = jobs[pod] + 1
        if not seen[pod] then
          seen[pod] = true
          local started = started_at(base .. ids[from - i + 1])
          if started and started < (oldest[pod] or math.huge) then
            oldest[pod] = started
          end
        end
      end
    end
  end
end

local function given_ids()
  local ids = {}
  for n = 1, given do
    ids[n] = ARGV[ids_given + n]
  end
  return ids
end

-- include: term
if want > 0 then
  local refusal = outdated(KEYS[1], ARGV[1])
  if refusal then
    return refusal
  end
end

if given > 0 then
  count_jobs(given_ids(), ARGV[bases + 1])
else
  local active = 0
  for q = 1, queues do
    active = active + call("LLEN", KEYS[q + 1])
  end
  if active > most then
    return active
  end
  for q = 1, queues do
    count_jobs(call("LRANGE", KEYS[q + 1], "0", "-1"), ARGV[bases + q])
  end
end

local fenced = {}
for n = candidates + 1, #ARGV do
  if #fenced >= want then
    break
  end
  if not jobs[ARGV[n]] then
    fenced[#fenced + 1] = ARGV[n]
    for head = 7, 6 + heads do
      call("SET", ARGV[head] .. ARGV[n], "scale-in", "PX", ttl_ms)
    end
  end
end

local busy = {}
for i = 1, #pods do
  busy[3 * i - 2], busy[3 * i - 1], busy[3 * i] = pods[i], jobs[pods[i]], oldest[pods[i]] or -1
end
local time = call("TIME")
return {fenced, busy, tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)}
