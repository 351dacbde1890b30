import type Docker from 'dockerode'
import { randomUUID } from 'node:crypto'
import type { Duplex } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import { type sendUnaryData, Server, ServerCredentials, type ServerUnaryCall, status } from '@grpc/grpc-js'
import { fieldsOf } from './buildkit-trace.js'
import { bounded } from './calls.js'
import { InfrastructureError } from '../errors.js'

const GET_SECRET = '/moby.buildkit.secrets.v1.Secrets/GetSecret'
const CHECK_HEALTH = '/grpc.health.v1.Health/Check'
/** A HealthCheckResponse whose status is SERVING. */
const SERVING = Buffer.from([8, 1])

/** What a build with BuildKit can ask for while it runs. */
export interface BuildSession extends Disposable {
  /** To be named when the build is started. */
  readonly id: string
}

/**
 * Opens a session: a connection on which the engine is the client. Over it BuildKit fetches secrets when a step mounts
 * them (`RUN --mount=type=secret,id=NAME`), so that they are in no argument, no layer and no history. It also asks for
 * registry logins, hears that this method is not there, and pulls without. Dispose it when the build has ended.
 *
 * Not dockerode's session, which knows registry logins only and answers no health check, for want of which the engine
 * hangs up after a while.
 */
export async function openBuildSession(
  docker: Docker,
  secrets: ReadonlyMap<string, string>,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<BuildSession> {
  const id = randomUUID()
  const opening = upgrade(docker, id)
  // Should it come late, nobody is there any more who would close it.
  const socket = await bounded(() => opening, timeoutMs, signal).catch((error: unknown) => {
    void opening.then((late) => late.destroy()).catch(() => undefined)
    throw error
  })
  socket.on('error', () => undefined) // the build itself tells that the engine is gone
  if (socket.destroyed) {
    throw new InfrastructureError('DOCKER_UNREACHABLE', 'the Docker engine hung up on the session of a build')
  }
  const server = serverOf(secrets)
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

function upgrade(docker: Docker, id: string): Promise<Duplex> {
  const headers = {
    Upgrade: 'h2c',
    'X-Docker-Expose-Session-Uuid': id,
    'X-Docker-Expose-Session-Name': 'longshore',
    'X-Docker-Expose-Session-Grpc-Method': [GET_SECRET, CHECK_HEALTH],
  }
  const statusCodes = { 200: true, 400: 'bad parameter', 500: 'server error' }
  const dialled = { path: '/session', method: 'POST', hijack: true, headers, statusCodes }
  return new Promise((resolve, reject) => {
    docker.modem.dial(dialled, (error: Error | null, socket: unknown) =>
      error ? reject(error) : resolve(socket as Duplex),
    )
  })
}

function serverOf(secrets: ReadonlyMap<string, string>): Server {
  const server = new Server()
  answer(server, CHECK_HEALTH, (_request, callback) => callback(null, SERVING))
  answer(server, GET_SECRET, (request, callback) => {
    const name = nameIn(request)
    const value = secrets.get(name)
    if (value !== undefined) return callback(null, secretResponse(Buffer.from(value)))
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

/** A GetSecretResponse: field 1, the bytes. */
function secretResponse(value: Buffer): Buffer {
  const length: number[] = []
  for (let rest = value.length; ; rest = Math.floor(rest / 128)) {
    length.push(rest < 128 ? rest : (rest % 128) + 128)
    if (rest < 128) break
  }
  return Buffer.concat([Buffer.from([10, ...length]), value])
}
