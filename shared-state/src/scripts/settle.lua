-- Charges what a request used, instead of what it reserved; once, however often it is asked.
-- KEYS: the settlement, then each budget's cell. ARGV: milliseconds to remember the settlement; then for each cell the
-- milliseconds of its window, the window's number, the units reserved and the units used.
-- 1: settled. 0: it was before.
if not redis.call('SET', KEYS[1], '', 'NX', 'PX', ARGV[1]) then
  return 0
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for i = 2, #KEYS do
  local first = 4 * (i - 2) + 2
  local window, held = tonumber(ARGV[first]), tonumber(ARGV[first + 1])
  local reserved, used = tonumber(ARGV[first + 2]), tonumber(ARGV[first + 3])
  local number, spent = math.floor(now / window), 0
  local cell = redis.call('GET', KEYS[i])
  if cell then
    local of, old, was = struct.unpack('>ddd', cell)
    if of == window and (old == number or old == number + 1) then
      number, spent = old, was
    elseif of ~= window and (old + 1) * of > now then
      spent = was
    end
  end
  if number == held then
    spent = math.max(0, spent - reserved) + used
  else
    -- Its window is over: what was used beyond the reservation is charged to that of now.
    spent = spent + math.max(0, used - reserved)
  end
  spent = math.min(spent, 9007199254740992)
  if spent > 0 then
    redis.call('SET', KEYS[i], struct.pack('>ddd', window, number, spent), 'PX', (number + 1) * window - now + 1000)
  else
    redis.call('DEL', KEYS[i])
  end
end
return 1
