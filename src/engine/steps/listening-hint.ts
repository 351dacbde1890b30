import type { Listening } from '../docker/listening.js'

const LOOPBACK_ADVICE =
  'most frameworks take HOST=0.0.0.0 or --host 0.0.0.0; Django takes runserver 0.0.0.0:PORT, Rails -b 0.0.0.0'

/**
 * What an app that does not answer on `port` listens on instead, and what to do about it; begins with "; ". Empty: it
 * listens where it should. `listening` null: nobody can tell.
 */
export function listeningHint(listening: readonly Listening[] | null, port: number): string {
  const advice = `set the app's port, EXPOSE it in the Dockerfile, or listen on $PORT (${port})`
  if (listening === null) return `; does it listen on 0.0.0.0:${port}? Otherwise ${advice}`
  const reachable = listening.filter((one) => !one.isLoopback)
  if (reachable.some((one) => one.port === port)) return ''
  if (isOnlyInside(listening, port)) return `; ${onlyInside(listening, port)}`
  if (reachable.length > 0) return `; it listens on ${placesOf(reachable)}: ${advice}`
  if (listening.length > 0)
    return `; it listens on ${placesOf(listening)}, which only its own container reaches: listen on 0.0.0.0:${port} (${LOOPBACK_ADVICE})`
  return `; it listens on no port yet: does it wait for something, such as a database? Its last lines may say so. If it is no web app, it cannot be served`
}

/** Whether it listens on the port, but on an address that nobody else reaches: no other program can take the port then. */
export function isOnlyInside(listening: readonly Listening[], port: number): boolean {
  const there = listening.filter((one) => one.port === port)
  return there.length > 0 && there.every((one) => one.isLoopback)
}

/** Of {@link isOnlyInside}. */
export function onlyInside(listening: readonly Listening[], port: number): string {
  const there = listening.filter((one) => one.port === port)
  return `it listens on ${placesOf(there)}, must be 0.0.0.0:${port}: nothing outside its container reaches it (${LOOPBACK_ADVICE})`
}

function placesOf(listening: readonly Listening[]): string {
  return listening.map(({ host, port }) => `${host.includes('::') ? `[${host}]` : host}:${port}`).join(', ')
}
