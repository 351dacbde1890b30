import type Docker from 'dockerode'
import { Agent } from 'node:http'
import { Agent as TlsAgent } from 'node:https'
import { inspect } from 'node:util'

/** As the agent that Node.js uses where none is named. */
const KEEP_ALIVE = { keepAlive: true, scheduling: 'lifo', timeout: 5_000 } as const

/**
 * Gives a client connections that never fail without anybody listening. A call that is aborted when its answer has
 * arrived and is not read yet (a build is cancelled while its last lines are stored) destroys its connection with an
 * error, and Node.js 20 takes its own listener away before that is said: nobody else listens, and the process ends.
 */
export function handleConnectionErrors({ modem }: Docker): void {
  const client = modem as { agent?: Agent; readonly protocol?: string }
  const agent = client.protocol === 'https' ? new TlsAgent(KEEP_ALIVE) : new Agent(KEEP_ALIVE)
  const create = agent.createConnection.bind(agent)
  agent.createConnection = (...args) => create(...args)?.on('error', () => undefined)
  // docker-modem writes out all that a request has, before each: of all connections that takes seconds.
  Object.defineProperty(agent, inspect.custom, { value: () => 'the connections to the engine' })
  client.agent = agent
}

/**
 * The same client, whose GET requests end when `stop` aborts. What changes something goes on at the engine whoever waits for
 * it: it keeps its connection until it is answered.
 */
export function withAbort(docker: Docker, stop: AbortSignal): Docker {
  const original = docker.modem as Modem
  const modem = Object.create(original) as Modem
  modem.dial = (options, callback) => {
    if (options.method !== 'GET') return original.dial(options, callback)
    const abortSignal = options.abortSignal ? AbortSignal.any([options.abortSignal, stop]) : stop
    original.dial({ ...options, abortSignal }, callback)
  }
  return Object.assign(Object.create(docker) as Docker, { modem })
}

interface Modem {
  dial(options: Dialled, callback: unknown): void
}

interface Dialled {
  readonly method: string
  readonly abortSignal?: AbortSignal
}
