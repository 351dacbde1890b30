import { deploymentUrl, stageUrl } from '../engine/addresses.js'
import type { ShownDeployment } from '../engine/shown.js'
import type { App } from '../entities/app.js'
import type { Variable } from '../entities/variable.js'
import type { PublicAddress } from '../resolvers/request-context.js'

/** The REST form of an app: snake case. */
export function appJson(app: App, address: PublicAddress) {
  return {
    id: app.id,
    name: app.name,
    repo_url: app.repoUrl,
    branch: app.branch,
    dockerfile_path: app.dockerfilePath,
    context_path: app.contextPath,
    target: app.target,
    build_args: app.buildArgs,
    platform: app.platform,
    port: app.port,
    url: stageUrl(app.name, 'production', address),
    created_at: app.createdAt,
    updated_at: app.updatedAt,
  }
}

/** The REST form of a deployment: snake case, status and trigger in lower case. */
export function deploymentJson(deployment: ShownDeployment, app: App, address: PublicAddress) {
  return {
    id: deployment.id,
    app_id: deployment.appId,
    stage_id: deployment.stageId,
    status: deployment.status.toLowerCase(),
    trigger: deployment.trigger.toLowerCase(),
    actor: deployment.actor,
    source_id: deployment.sourceId,
    ref: deployment.ref,
    commit_sha: deployment.commitSha,
    commit_message: deployment.commitMessage,
    image: deployment.image,
    container: deployment.container,
    port: deployment.port,
    url: deploymentUrl(deployment, app.name, address),
    error: errorJson(deployment),
    attempt: deployment.attempt,
    created_at: deployment.createdAt,
    started_at: deployment.startedAt,
    live_at: deployment.liveAt,
    finished_at: deployment.finishedAt,
  }
}

/** A variable without its value. */
export function variableJson({ key, buildSecret, fingerprint, updatedAt }: Variable) {
  return { key, build_secret: buildSecret, fingerprint, updated_at: updatedAt }
}

function errorJson(deployment: ShownDeployment) {
  if (deployment.errorCode === null) return null
  return {
    code: deployment.errorCode,
    phase: (deployment.errorPhase ?? deployment.status).toLowerCase(),
    message: deployment.errorMessage,
    exit_code: deployment.errorExitCode,
    last_lines: deployment.errorLastLines ?? [],
  }
}
