import { useEffect, useState } from 'react'

const UNITS = [
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
  ['second', 1],
] as const
const RELATIVE = new Intl.RelativeTimeFormat('en', { numeric: 'auto' })
const WHOLE = new Intl.DateTimeFormat('en', { dateStyle: 'medium', timeStyle: 'medium' })
/** How often what it says may change. */
const TICK_MS = 10_000

/** How long ago something was; the whole date on hover. */
export function Time({ at }: { at: string }) {
  const [now, setNow] = useState(Date.now)
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), TICK_MS)
    return () => clearInterval(timer)
  }, [])
  const date = new Date(at)
  return (
    <time dateTime={at} title={WHOLE.format(date)}>
      {ago((now - date.getTime()) / 1000)}
    </time>
  )
}

/** The clock of the server may be ahead. */
function ago(seconds: number): string {
  const [unit, size] = UNITS.find(([, length]) => seconds >= length) ?? ['second', 1]
  if (unit === 'second') return 'just now'
  return RELATIVE.format(-Math.floor(seconds / size), unit)
}
