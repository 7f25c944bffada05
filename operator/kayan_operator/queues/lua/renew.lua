-- renew: keep fences standing, but only those that do: where one has fallen its pod may have claimed since.
--
-- KEYS     1… fences (ours)
-- ARGV     1 ttl_ms
-- Returns  per fence 1 renewed, 0 it had fallen
local renewed = {}
for n = 1, #KEYS do
  renewed[n] = redis.call("PEXPIRE", KEYS[n], ARGV[1])
end
return renewed
