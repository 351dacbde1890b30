import { type EntityManager, IsNull } from 'typeorm'
import { App } from '../../entities/app.js'
import { Deployment } from '../../entities/deployment.js'
import { Stage } from '../../entities/stage.js'
import { Variable } from '../../entities/variable.js'
import { checkAll, CommandError } from '../command-error.js'
import { checkAppName, checkStageHost, checkVariables, createId, type GivenVariable } from '../names.js'
import { storeToken } from '../repositories/credential.js'
import { lockKeySharedToEncrypt } from '../secrets/instance.js'
import { sealVariable } from '../secrets/variables.js'
import { type AppSource, checkSource } from './app-source.js'
import type { CommandDependencies } from './dependencies.js'
import { checkDomains, insertDomain } from './domains.js'
import { checkIdempotencyKey } from './idempotency.js'
import { stagePatch, type UpdateStageCommand } from './stage-settings.js'

export interface CreateAppCommand extends AppSource {
  readonly name: string
  readonly variables?: readonly GivenVariable[] | null
  readonly deploy?: boolean | null
  /** Of the production stage. */
  readonly healthCheck?: UpdateStageCommand['healthCheck']
  readonly limits?: UpdateStageCommand['limits']
  readonly replicas?: number | null
  readonly command?: readonly string[] | null
  readonly domains?: readonly string[] | null
  /** A second call with the same key answers with the first call's app. */
  readonly idempotencyKey?: string | null
}

/** An app whose fields have been checked. */
export type NewApp = ReturnType<typeof checkNewApp>

/** @throws CommandError that names each field that is wrong */
export function checkNewApp(command: CreateAppCommand, settings: CommandDependencies['settings']) {
  const { healthCheck, limits, replicas, command: words, domains, variables } = command
  return checkAll({
    name: () => {
      const name = checkAppName('name', command.name)
      checkStageHost(name, 'production', settings)
      return name
    },
    source: () => checkSource(command, settings),
    stage: () => stagePatch({ healthCheck, limits, replicas, command: words }),
    domains: () => checkDomains('domains', domains ?? [], settings),
    variables: () => {
      checkVariables('variables', variables ?? [])
      return variables ?? []
    },
    idempotencyKey: () => checkIdempotencyKey(command.idempotencyKey),
  })
}

/**
 * Inserts an app and its production stage, in the caller's transaction.
 *
 * @returns no stage where the idempotency key is that of an app that is there already
 * @throws CommandError CONFLICT when its name or one of its domains is taken
 */
export async function insertNewApp(
  manager: EntityManager,
  { name, source, idempotencyKey, ...ofStage }: NewApp,
  { secrets }: CommandDependencies,
): Promise<{ readonly app: App; readonly stage: Stage | null }> {
  const { stage: settings, domains, variables } = ofStage
  if (variables.length > 0 || source.token) await lockKeySharedToEncrypt(manager, secrets)
  await refuseOwnName(manager, name)
  const id = createId()
  const earlier = await insertUnique(manager, { id, name, ...source.columns, idempotencyKey })
  if (earlier) return { app: earlier, stage: null }
  const app = await manager.findOneByOrFail(App, { id })
  if (source.token) await storeToken(manager, app, { ...source.token, secrets })
  const production = { id: createId(), appId: id, name: 'production', ...settings }
  const stage = await manager.save(Stage, production)
  for (const host of domains) await insertDomain(manager, { host, stageId: stage.id }, 'domains')
  for (const variable of variables) await manager.insert(Variable, sealVariable(secrets, stage.id, variable))
  return { app, stage }
}

/** Containers and own hosts of deployments are named `{app}-{id}`: an app of such a name would take both. */
async function refuseOwnName(manager: EntityManager, name: string): Promise<void> {
  const at = name.lastIndexOf('-')
  const found = await manager.findOneBy(Deployment, {
    id: name.slice(at + 1),
    app: { name: name.slice(0, at) },
  })
  if (!found) return
  const message = `name: "${name}" is the name of a deployment's containers; choose another`
  throw new CommandError('CONFLICT', message, 'name')
}

/** Gives the app that an earlier call with the same idempotency key has made; null: it is inserted. */
async function insertUnique(
  manager: EntityManager,
  app: Partial<App> & Pick<App, 'name' | 'idempotencyKey'>,
): Promise<App | null> {
  const { name, idempotencyKey } = app
  const result = await manager.createQueryBuilder().insert().into(App).values(app).orIgnore().execute()
  if ((result.raw as unknown[]).length > 0) return null
  const earlier = idempotencyKey && (await manager.findOneBy(App, { idempotencyKey, deletedAt: IsNull() }))
  if (earlier) return earlier
  throw new CommandError('CONFLICT', `name: an app "${name}" already exists; choose another`, 'name')
}
