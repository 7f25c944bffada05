-- renew: keep fences standing, but only those that do: where one has fallen its pod may have claimed since.
--
-- KEYS     1 term (ours)    2… fences (ours)
-- ARGV     1 term    2 ttl_ms
-- Returns  per fence 1 renewed, 0 it had fallen; or an error that begins with OUTDATED
-- include: term
local refusal = outdated(KEYS[1], ARGV[1])
if refusal then
  return refusal
end
local renewed = {}
for n = 2, #KEYS do
  renewed[n - 1] = redis.call("PEXPIRE", KEYS[n], ARGV[2])
end
return renewed
