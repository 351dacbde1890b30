import { randomUUID } from 'node:crypto'
import type { ServerOptions } from 'node:http2'
import type { Duplex } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import { type sendUnaryData, Server, ServerCredentials, type ServerUnaryCall, status } from '@grpc/grpc-js'
import { fieldsOf } from './buildkit-trace.js'
import type { EngineCalls } from './calls.js'
import type { EngineClient } from './client.js'
import type { BuildContext } from './docker.js'
import { InfrastructureError } from '../errors.js'
import { DIFF_COPY, serveFiles } from './file-sync.js'
import { bytesField } from './protobuf.js'

const GET_SECRET = '/moby.buildkit.secrets.v1.Secrets/GetSecret'
const CHECK_HEALTH = '/grpc.health.v1.Health/Check'
/** A HealthCheckResponse whose status is SERVING. */
const SERVING = Buffer.from([8, 1])
/** BuildKit sends each path that a Dockerfile copies in a header of its own; Node.js takes 128 without this. */
const MAX_HEADERS = 10_000

/** What BuildKit may have of a build. */
export interface Offer {
  readonly context: BuildContext
  readonly secrets: ReadonlyMap<string, string>
  /** Hears of a context that cannot be read. */
  readonly failed: (error: unknown) => void
}

/** What a build with BuildKit can ask for while it runs. */
export interface BuildSession extends Disposable {
  /** To be named when the build is started. */
  readonly id: string
}

/**
 * Opens a session: a connection on which the engine is the client. Over it BuildKit fetches files of the context, and
 * secrets when a step mounts them (`RUN --mount=type=secret,id=NAME`), so that they are in no argument, layer or history. It also asks for
 * registry logins, hears that this method is not there, and pulls without. Dispose it when the build has ended.
 *
 * Not dockerode's session, which knows registry logins only and answers no health check, for want of which the engine
 * hangs up after a while.
 */
export async function openBuildSession(
  calls: EngineCalls,
  offer: Offer,
  signal: AbortSignal,
): Promise<BuildSession> {
  const id = randomUUID()
  const opening = upgrade(calls.client, id)
  // Should it come late, nobody is there any more who would close it.
  const socket = await calls
    .within(() => opening, signal)
    .catch((error: unknown) => {
      void opening.then((late) => late.destroy()).catch(() => undefined)
      throw error
    })
  socket.on('error', () => undefined) // the build itself tells that the engine is gone
  if (socket.destroyed) {
    throw new InfrastructureError('DOCKER_UNREACHABLE', 'the Docker engine closed the session of a build')
  }
  const server = serverOf(offer)
  server.createConnectionInjector(ServerCredentials.createInsecure()).injectConnection(socket)
  // In this turn Node.js reads what came with the upgrade, from a connection that it takes for open: one that was closed
  // before would end the process. Nobody can dispose of the session until it is returned.
  await turn()
  return {
    id,
    [Symbol.dispose]: () => {
      server.forceShutdown()
      socket.destroy()
    },
  }
}

function upgrade(client: EngineClient, id: string): Promise<Duplex> {
  const headers = {
    Upgrade: 'h2c',
    'X-Docker-Expose-Session-Uuid': id,
    'X-Docker-Expose-Session-Name': 'longshore',
    // One of its own: files that BuildKit has of another build, of the same size and time, would be taken for these.
    'X-Docker-Expose-Session-Sharedkey': id,
    'X-Docker-Expose-Session-Grpc-Method': [DIFF_COPY, GET_SECRET, CHECK_HEALTH],
  }
  const statusCodes = { 400: 'bad parameter', 500: 'server error' }
  return client.upgrade({ method: 'POST', path: '/session', headers, statusCodes })
}

function serverOf({ context, secrets, failed }: Offer): Server {
  const server = new Server()
  // The library has no option for it: of another version that keeps its own elsewhere a test of many paths fails.
  const { commonServerOptions } = server as unknown as { commonServerOptions: ServerOptions }
  commonServerOptions.maxHeaderListPairs = MAX_HEADERS
  serveFiles(server, context, failed)
  answer(server, CHECK_HEALTH, (_request, callback) => callback(null, SERVING))
  answer(server, GET_SECRET, (request, callback) => {
    const name = nameIn(request)
    const value = secrets.get(name)
    if (value !== undefined) return callback(null, bytesField(1, value))
    callback({ code: status.NOT_FOUND, details: `no variable ${name} is marked as a build secret` })
  })
  return server
}

/** Field 1 of a GetSecretRequest; what is none asks for nothing that there is. */
function nameIn(request: Buffer): string {
  try {
    return new Map(fieldsOf(request)).get(1)?.toString() ?? ''
  } catch {
    return ''
  }
}

/** One method, from bytes to bytes. */
function answer(
  server: Server,
  path: string,
  handle: (request: Buffer, callback: sendUnaryData<Buffer>) => void,
): void {
  const same = (bytes: Buffer) => bytes
  const call = ({ request }: ServerUnaryCall<Buffer, Buffer>, callback: sendUnaryData<Buffer>) =>
    handle(request, callback)
  server.register(path, call, same, same, 'unary')
}
