import type Docker from 'dockerode'
import type { EngineClient } from './client.js'

/** A call as dockerode gives it to docker-modem. */
interface Dialled {
  readonly path: string
  readonly method: string
  readonly options?: Readonly<Record<string, unknown>> | null
  readonly statusCodes: Readonly<Record<number, true | string>>
  readonly isStream?: boolean
  readonly abortSignal?: AbortSignal
}
type Callback = (error: unknown, answer: unknown) => void

/**
 * The same dockerode, whose calls are sent by `client` and not by docker-modem: that one waits for ever where an answer
 * breaks off in the middle, and reports failed builds as successes.
 *
 * GET requests end when `stop` aborts. What changes something goes on at the engine whoever waits for it: it keeps its
 * connection until it is answered.
 */
export function sendBy(client: EngineClient, docker: Docker, stop: AbortSignal | null): Docker {
  const modem = Object.create(docker.modem) as { dial: (dialled: Dialled, callback: Callback) => void }
  modem.dial = (dialled, callback) => {
    send(client, dialled, stop).then(
      (answer) => callback(null, answer),
      (error: unknown) => callback(error, null),
    )
  }
  return Object.assign(Object.create(docker) as Docker, { modem })
}

function send(
  client: EngineClient,
  { path, method, options, statusCodes, isStream, abortSignal }: Dialled,
  stop: AbortSignal | null,
): Promise<unknown> {
  const { _query, _body, abortSignal: _signal, ...given } = options ?? {}
  const takesQuery = path.endsWith('?')
  const body = method === 'POST' ? JSON.stringify(_body ?? given) : '{}'
  const signals = [abortSignal, method === 'GET' ? stop : null].filter(
    (signal) => signal instanceof AbortSignal,
  )
  const asked = {
    ...{ method, statusCodes, path: takesQuery ? path.slice(0, -1) : path },
    ...(takesQuery ? { query: (_query ?? given) as Record<string, unknown> } : {}),
    ...(body === '{}' ? {} : { body }),
    ...(signals.length > 0 ? { signal: AbortSignal.any(signals) } : {}),
  }
  return isStream ? client.open(asked) : client.ask(asked)
}
