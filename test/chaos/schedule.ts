import { setTimeout as sleep } from 'node:timers/promises'
import type { Processes, Slot } from './processes.js'
import { Random } from './random.js'

const KILL_AFTER_MS = [5_000, 20_000] as const
const MOST_PAUSE_MS = 2_000
/**
 * When in the run, and for how long. Both lose their claims meanwhile; while the process that routes is stopped nothing
 * is answered, so that it is stopped for a shorter time, and only in a run that leaves time enough beside it.
 */
const STALLS = [
  { slot: 1, at: 0.2, forMs: 45_000, fromMinutes: 0 },
  { slot: 0, at: 0.7, forMs: 15_000, fromMinutes: 3 },
] as const

/** Kills and stops processes at random until `signal` aborts; resolves when both live again. */
export async function disturb(
  processes: Processes,
  { seed, minutes }: { seed: number; minutes: number },
  signal: AbortSignal,
): Promise<void> {
  const stalls = STALLS.filter(({ fromMinutes }) => minutes >= fromMinutes)
  await Promise.all([
    killAtRandom(processes, new Random(seed, 'kills'), signal),
    ...stalls.map(async ({ slot, at, forMs }) => {
      if (await pause(at * minutes * 60_000, signal)) return
      await processes.stall(await whenUp(processes.slots[slot]), forMs)
    }),
  ])
}

/** One of those that are up; it may be the last one. */
async function killAtRandom(processes: Processes, random: Random, signal: AbortSignal): Promise<void> {
  const lives: Promise<void>[] = []
  while (!(await pause(random.between(...KILL_AFTER_MS), signal))) {
    const pauseMs = random.between(0, MOST_PAUSE_MS)
    const [slot] = random.next() < 0.5 ? processes.up : processes.up.reverse()
    if (slot) lives.push(processes.kill(slot, pauseMs))
  }
  await Promise.all(lives)
}

async function whenUp(slot: Slot): Promise<Slot> {
  while (slot.state !== 'up') await sleep(50)
  return slot
}

/** True: `signal` has aborted. */
export async function pause(ms: number, signal: AbortSignal): Promise<boolean> {
  await sleep(ms, undefined, { signal }).catch(() => undefined)
  return signal.aborted
}
