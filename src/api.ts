import { join } from 'node:path'
import { randomBytes } from 'node:crypto'
import type { Core } from './core.js'
import { Disposal } from './disposal.js'
import { WorkerAbsence } from './engine/presence/worker-absence.js'
import { Commands } from './engine/commands.js'
import { Queries } from './engine/queries.js'
import { fitted } from './engine/routing/connection-limits.js'
import { readOrCreateFile } from './engine/secrets/secrets.js'
import { createTokenCheck } from './http/access.js'
import { createServer } from './http/server.js'
import { buildSchema } from './resolvers/build-schema.js'
import type { ApiDependencies } from './resolvers/request-context.js'

/** A started API. Disposing ends its connections. */
export interface StartedApi extends AsyncDisposable {
  readonly url: string
}

/**
 * Wires commands and queries into GraphQL, REST and subscriptions, and listens.
 *
 * @param isDraining whether this process is about to stop
 */
export async function startApi(core: Core, isDraining = () => false): Promise<StartedApi> {
  const { config, database, wakeups, hub, secrets, logger } = core
  const api: ApiDependencies = {
    commands: new Commands({ database, wakeups, secrets, settings: config }),
    queries: new Queries(database),
    hub,
    wakeups,
    address: config,
  }
  const opened = new Disposal()
  try {
    const isToken = createTokenCheck(await adminToken(core))
    const absence = opened.use(new WorkerAbsence({ database, wakeups, logger }))
    absence.start()
    const connections = fitted(config.connections, { name: 'API' }, logger)
    const schema = await buildSchema(logger)
    const server = await createServer({
      ...{ api, schema, isToken, logger, connections, absence, isDraining },
      corsOrigins: config.corsOrigins,
      trustedProxies: config.trustedProxies,
    })
    opened.use(server)
    const url = await server.listen(config.host, config.port)
    return { url, [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose]() }
  } catch (error) {
    await opened[Symbol.asyncDispose]()
    throw error
  }
}

/** ADMIN_TOKEN, or the token in DATA_DIR/admin-token, which is made and shown at the first start. */
async function adminToken({ config, logger }: Core): Promise<string> {
  if (config.adminToken) return config.adminToken
  const path = join(config.dataDir, 'admin-token')
  const made = await readOrCreateFile(path, () => randomBytes(24).toString('base64url'))
  if (made.isNew) process.stdout.write(`Admin token (kept in ${path}): ${made.text}\n`)
  else logger.info('using the existing admin token', { file: path })
  return made.text
}
