import { request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Listening } from '../docker/listening.js'
import { stageUrl } from '../addresses.js'
import type { Services } from '../services.js'
import { stallTolerantTimeout } from '../stall-tolerant-timeout.js'
import { probeHeaders } from '../traffic/health.js'
import type { DeploymentRun } from './deployment-run.js'

/** What an app that serves the web usually listens on. */
const USUAL = [80, 8080, 3000, 8000, 5000]
const DEFAULT_PORT = 80
const HTTP_MS = 1_000
const FIRST_WAIT_MS = 20
/** What it listens on may cost the engine a process each time. */
const SLOWEST_WAIT_MS = 1_000
/** Ports that are open and speak no HTTP are looked at so often before the usual one is taken. */
const LOOKS = 4

/** A port that nobody has set. */
export interface GuessedPort {
  /** What PORT says inside the container, and what is taken where nothing better is found. */
  readonly port: number
  /** What the image exposes; empty: nothing, so that any port may be the app's. */
  readonly exposed: readonly number[]
}

/** Null: the image exposes one port, which is the app's. */
export function guessPort(exposed: readonly number[]): GuessedPort | null {
  if (exposed.length === 1) return null
  return { port: USUAL.find((port) => exposed.includes(port)) ?? exposed[0] ?? DEFAULT_PORT, exposed }
}

/** The container to look at. `isAlive` throws when it has ended. */
export interface PortQuestion {
  readonly guessed: GuessedPort
  readonly container: string
  readonly until: number
  readonly addressOf: () => Promise<string | null>
}

/**
 * The port that an app answers HTTP on, of those that its image exposes; where that exposes none, of those that it listens
 * on. Without HTTP on any of them the only port that it listens on, else the guess.
 *
 * @throws what `addressOf` throws, when the container has ended
 */
export async function choosePort(
  run: DeploymentRun,
  { guessed, container, until, addressOf }: PortQuestion,
  { docker, settings }: Services,
): Promise<number> {
  const { signal } = run
  const url = stageUrl(run.app.name, run.stage.name, settings)
  let looks = 0
  for (
    let waitMs = FIRST_WAIT_MS;
    performance.now() < until;
    waitMs = Math.min(waitMs * 2, SLOWEST_WAIT_MS)
  ) {
    const host = await addressOf()
    const listening = await docker.listeningOn(container, signal).catch(() => null)
    signal.throwIfAborted()
    const open = portsOf(listening, guessed)
    for (const port of host === null ? [] : open) {
      if (await speaksHttp({ host: host ?? '', port, url, signal })) return port
    }
    if (listening === null && guessed.exposed.length === 0) return guessed.port
    if (listening !== null && open.length > 0 && ++looks === LOOKS)
      return open.includes(guessed.port) ? guessed.port : (open[0] ?? guessed.port)
    await sleep(waitMs, undefined, { signal })
  }
  return guessed.port
}

/** Those that may be the app's, the usual ones first. */
function portsOf(listening: readonly Listening[] | null, { port, exposed }: GuessedPort): number[] {
  const open = listening?.filter((one) => !one.isLoopback).map((one) => one.port) ?? exposed
  const wanted = [...new Set(open)].filter((one) => exposed.length === 0 || exposed.includes(one))
  const order = (one: number) => (one === port ? -1 : USUAL.includes(one) ? USUAL.indexOf(one) : USUAL.length)
  return wanted.sort((one, other) => order(one) - order(other) || one - other)
}

interface HttpQuestion {
  readonly host: string
  readonly port: number
  readonly url: string
  readonly signal: AbortSignal
}

/** Whether anything that is HTTP comes back in time, whatever its status. */
function speaksHttp({ host, port, url, signal }: HttpQuestion): Promise<boolean> {
  return new Promise((resolve) => {
    const asked = request({ host, port, path: '/', headers: probeHeaders(url), agent: false, signal })
    const finish = (answer: boolean) => {
      stopWaiting()
      asked.destroy()
      resolve(answer)
    }
    const stopWaiting = stallTolerantTimeout(HTTP_MS, () => finish(false))
    asked.once('response', () => finish(true))
    asked.on('error', () => finish(false))
    asked.end()
  })
}
