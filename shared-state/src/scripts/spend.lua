-- Uses a challenge up. KEYS: epoch, spent, network. ARGV: epoch id, nonce, milliseconds left, capacity.
-- 0: it is the first. 1: used before. 2: the epoch is another, or none. 3: no room, for this network or at all.
if redis.call('HGET', KEYS[1], 'id') ~= ARGV[1] then
  return 2
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- A few of those that are over make room, in every call: more than one call adds.
local over = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, 64)
if #over > 0 then
  redis.call('ZREM', KEYS[2], unpack(over))
end
if redis.call('ZSCORE', KEYS[2], ARGV[2]) then
  return 1
end
local capacity = tonumber(ARGV[4])
local live = redis.call('ZCOUNT', KEYS[2], '(' .. string.format('%.0f', now), '+inf')
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now)
local held = redis.call('ZCARD', KEYS[3])
-- A quarter of the room for one network; once three quarters are used, a 4096th: the rest is for those who hold little.
local share = math.floor(capacity / 4)
if live >= math.floor(capacity / 4) * 3 then
  share = math.floor(capacity / 4096)
end
if live >= capacity or held >= math.max(share, 1) then
  return 3
end
local left = tonumber(ARGV[3])
local ends = string.format('%.0f', now + left)
redis.call('ZADD', KEYS[2], ends, ARGV[2])
redis.call('ZADD', KEYS[3], ends, ARGV[2])
for i = 2, 3 do
  if redis.call('PTTL', KEYS[i]) < left then
    redis.call('PEXPIRE', KEYS[i], left)
  end
end
return 0
