import type Docker from 'dockerode'
import { setTimeout as sleep } from 'node:timers/promises'
import { ignoreMissing } from './calls.js'
import { isEndingError, isRemovalUnderWay } from './engine-messages.js'

const POLL_MS = 100
/** How long a removal that somebody else has begun may take, and an engine that has not noticed an end yet. */
const RACE_MS = 30_000

/** Makes one call of the engine. */
type Ask = (work: (docker: Docker) => Promise<unknown>) => Promise<unknown>

/**
 * The engine does not start it again, whatever becomes of it. One that ends in this moment is updated when the engine has
 * noticed that, and one that is being removed needs nothing.
 */
export async function keepEnded(ask: Ask, id: string): Promise<void> {
  const update = () =>
    ask((docker) => ignoreMissing(docker.getContainer(id).update({ RestartPolicy: { Name: 'no' } })))
  try {
    await whileRaces(update, isEndingError)
  } catch (error) {
    if (!isRemovalUnderWay((error as Error).message)) throw error
  }
}

/** Removes a container, or waits for the end of the removal that somebody else has begun: by then it is gone. */
export async function removeWhole(ask: Ask, id: string): Promise<void> {
  // Asked again, and not only looked at: the other's removal may fail.
  await whileRaces(
    () => ask((docker) => ignoreMissing(docker.getContainer(id).remove({ force: true, v: true }))),
    isRemovalUnderWay,
  )
}

async function whileRaces(
  attempt: () => Promise<unknown>,
  isRace: (message: string) => boolean,
): Promise<void> {
  const until = performance.now() + RACE_MS
  for (;;) {
    try {
      await attempt()
      return
    } catch (error) {
      if (!isRace((error as Error).message) || performance.now() > until) throw error
      await sleep(POLL_MS)
    }
  }
}
