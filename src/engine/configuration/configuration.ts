import type { App } from '../../entities/app.js'
import type { Configuration } from '../../entities/configuration.js'
import type { Stage } from '../../entities/stage.js'
import type { Queryable } from '../sql/queryable.js'

/** What a deployment of the stage would run with, as things are now. */
export async function readConfiguration(database: Queryable, app: App, stage: Stage): Promise<Configuration> {
  const variables = await database.query<Configuration['variables'][number][]>(
    `SELECT key, value_encrypted AS "valueEncrypted", fingerprint, build_secret AS "buildSecret"
       FROM variable WHERE stage_id = $1 ORDER BY key`,
    [stage.id],
  )
  const { contextPath, dockerfilePath, target, buildArgs: args, platform } = app
  return {
    source: { repoUrl: app.repoUrl, branch: stage.branch ?? app.branch },
    build: { contextPath, dockerfilePath, target, args, platform },
    port: app.port,
    command: stage.command,
    replicas: stage.replicas,
    memoryBytes: stage.memoryBytes,
    cpus: stage.cpus,
    pids: stage.pids,
    health: {
      path: stage.healthPath,
      intervalSeconds: stage.healthIntervalSeconds,
      timeoutSeconds: stage.healthTimeoutSeconds,
      deadlineSeconds: stage.healthDeadlineSeconds,
      stableSeconds: stage.healthStableSeconds,
    },
    variables,
  }
}

/** `present`, but built as an image of the app's was, should it have to be again. */
export async function asBuilt(
  database: Queryable,
  present: Configuration,
  { appId, imageId }: { readonly appId: string; readonly imageId: string },
): Promise<Configuration> {
  const [found] = await database.query<{ repoUrl: string; build: Configuration['build'] }[]>(
    `SELECT configuration -> 'source' ->> 'repoUrl' AS "repoUrl", configuration -> 'build' AS build FROM deployment
      WHERE app_id = $1 AND image_id = $2 AND configuration ? 'source' ORDER BY generation LIMIT 1`,
    [appId, imageId],
  )
  if (!found) return present
  const branch = present.source?.branch ?? null
  return { ...present, source: { repoUrl: found.repoUrl, branch }, build: found.build }
}
