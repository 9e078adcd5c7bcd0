-- Uses a challenge up. KEYS: epoch, spent, network. ARGV: epoch id, nonce, milliseconds left, capacity, milliseconds that the
-- clock may leap between two looks of the epoch.
-- 0: it is the first. 1: used before. 2: the epoch is another, or none. 3: no room, for this network or at all.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local epoch = redis.call('HMGET', KEYS[1], 'id', 'at')
if epoch[1] ~= ARGV[1] or not epoch[2] or math.abs(now - epoch[2]) > tonumber(ARGV[5]) then
  return 2
end
local live = {}
for i = 2, 3 do
  -- A few of those that are over make room, in every call: more than one call adds, and no call has to wait for many.
  local over = redis.call('ZRANGEBYSCORE', KEYS[i], '-inf', now, 'LIMIT', 0, 64)
  if #over > 0 then
    redis.call('ZREM', KEYS[i], unpack(over))
  end
  live[i] = redis.call('ZCOUNT', KEYS[i], '(' .. string.format('%.0f', now), '+inf')
end
if redis.call('ZSCORE', KEYS[2], ARGV[2]) then
  return 1
end
local capacity = tonumber(ARGV[4])
-- A quarter of the room for one network; once three quarters are used, a 4096th: the rest is for those who hold little.
local share = math.floor(capacity / 4)
if live[2] >= math.floor(capacity / 4) * 3 then
  share = math.floor(capacity / 4096)
end
if live[2] >= capacity or live[3] >= math.max(share, 1) then
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
