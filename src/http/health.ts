import type { FastifyInstance } from 'fastify'
import type { DataSource } from 'typeorm'
import type { ApiParts } from '../resolvers/request-context.js'

/** A database or a worker that says nothing for this long counts as away. */
const DATABASE_MS = 2_000
const WORKER_SECONDS = 15

interface State {
  readonly status: 'ok' | 'down' | 'unknown'
  readonly message: string | null
}

interface DockerState extends State {
  readonly version: string | null
}

/** GET /health: process, database and Docker, each with its state. GET /ready: whether requests can be answered. */
export function serveHealth(app: FastifyInstance, { queries }: ApiParts): void {
  app.get('/health', { config: { open: true } }, async (_request, reply) => {
    const database = await databaseState(queries.database)
    const docker = database.status === 'ok' ? await dockerState(queries.database) : UNKNOWN
    const status = database.status !== 'ok' ? 'down' : docker.status === 'ok' ? 'ok' : 'degraded'
    const process = { status: 'ok', message: null, uptime_seconds: Math.round(globalThis.process.uptime()) }
    return reply.code(status === 'down' ? 503 : 200).send({ status, process, database, docker })
  })
  app.get('/ready', { config: { open: true } }, async (_request, reply) => {
    const database = await databaseState(queries.database)
    return reply.code(database.status === 'ok' ? 200 : 503).send({ ready: database.status === 'ok' })
  })
}

const UNKNOWN: DockerState = {
  status: 'unknown',
  message: 'only the database knows, and it is away',
  version: null,
}

async function databaseState(database: DataSource): Promise<State> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${DATABASE_MS} ms`)), DATABASE_MS)
  })
  try {
    await Promise.race([database.query('SELECT 1'), late])
    return { status: 'ok', message: null }
  } catch (error) {
    return { status: 'down', message: (error as Error).message }
  } finally {
    clearTimeout(timer)
  }
}

/** What the workers last saw: the API role itself has no Docker client. */
async function dockerState(database: DataSource): Promise<DockerState> {
  const rows = await database.query<{ docker_error: string | null; docker_version: string | null }[]>(
    `SELECT docker_error, docker_version FROM worker WHERE seen_at > now() - make_interval(secs => $1)
      ORDER BY docker_error IS NOT NULL, seen_at DESC LIMIT 1`,
    [WORKER_SECONDS],
  )
  const [worker] = rows
  if (!worker) return { status: 'unknown', message: 'no worker runs: deployments wait', version: null }
  if (worker.docker_error !== null) return { status: 'down', message: worker.docker_error, version: null }
  return { status: 'ok', message: null, version: worker.docker_version }
}
