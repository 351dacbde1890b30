import assert from 'node:assert/strict'
import { createApp, deploy, followLog, graphql, updateStage } from './client.js'
import { BASE_IMAGE, TestRepository } from './repository.js'
import type { Installation } from './server.js'

/** Nothing is waited for that need not be. */
export const QUICK = { stableSeconds: 0, deadlineSeconds: 3 }

/** What {@link scripted} runs to serve its page. */
export const SERVE = 'exec busybox httpd -f -p 8080 -h /www'

/** Serves, and only SIGKILL ends it. */
export const STUBBORN = 'trap "" TERM; busybox httpd -f -p 8080 -h /www'

/** A web app whose container runs `script`; `line` goes into the Dockerfile before its command. */
export function scripted(script: string, page = 'page', line = ''): Record<string, string> {
  const command = JSON.stringify(['/bin/busybox', 'sh', '-c', script])
  return {
    'www/index.html': page,
    Dockerfile: `FROM ${BASE_IMAGE}\nCOPY www /www\nEXPOSE 8080\n${line}\nCMD ${command}\n`,
  }
}

/** An app that serves its first version. Disposing deletes it. */
export interface Serving extends AsyncDisposable {
  readonly appId: string
  readonly stageId: string
  /** Its first deployment. */
  readonly first: string
  /** Commits files and deploys them; `end` is what the log says of how that ended. */
  next(files?: Record<string, string>): Promise<{ id: string; end: string | undefined; log: string }>
  /** Commits files and asks for a deployment of them. */
  begin(files?: Record<string, string>): Promise<string>
}

export async function serving(
  { port }: Installation,
  name: string,
  files: Record<string, string>,
  healthCheck: object = QUICK,
): Promise<Serving> {
  const repository = new TestRepository(files)
  const { appId } = await createApp(port, { name, repoUrl: repository.url, deploy: false })
  const stageId = await updateStage(port, appId, { healthCheck })
  const begin = (changed: Record<string, string> = {}) => {
    repository.commit(changed)
    return deploy(port, appId)
  }
  const next = async (changed: Record<string, string> = {}) => {
    const id = await begin(changed)
    const events = await followLog(port, id)
    return { id, end: events.at(-1)?.end?.status, log: events.map((event) => event.text).join('') }
  }
  const first = await next()
  assert.equal(first.end, 'RUNNING', first.log)
  return {
    ...{ appId, stageId, first: first.id, next, begin },
    async [Symbol.asyncDispose]() {
      await graphql(port, 'mutation ($id: ID!) { deleteApp(id: $id) }', { id: appId })
      repository[Symbol.dispose]()
    },
  }
}
