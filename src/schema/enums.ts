import { registerEnumType } from 'type-graphql'
import { DEPLOYMENT_ERROR_CODES, type DeploymentErrorCode } from '../entities/deployment-error-code.js'
import { DeploymentStatus, DeploymentTrigger, LogStream } from '../entities/deployment-status.js'
import { Forge, WebhookVerdict } from '../entities/webhook-delivery.js'

registerEnumType(DeploymentStatus, {
  name: 'DeploymentStatus',
  description: 'Where a deployment stands.',
  valuesConfig: {
    PENDING: { description: 'Waits in the queue.' },
    CLONING: { description: 'Its commit is being fetched.' },
    BUILDING: { description: 'Its image is being built.' },
    STARTING: { description: 'Its container runs and is being checked.' },
    ROUTING: { description: 'Traffic is being moved to it.' },
    RUNNING: { description: 'Serves its stage. Exactly one per stage.' },
    RETIRED: {
      description:
        'Served once; a newer deployment took over, or the stage was stopped. Serves again (RUNNING) when its successor is ROLLED_BACK or the stage is started.',
    },
    FAILED: { description: 'It did not come to serve, or ended while it was watched: `error` says why.' },
    CANCELLED: { description: 'Somebody cancelled it before traffic had moved.' },
    SUPERSEDED: {
      description:
        'Never ran, or was stopped before it started: a newer deployment of the stage replaced it.',
    },
    ROLLED_BACK: {
      description:
        'Went live, failed in the watch window, and traffic went back to the deployment before it.',
    },
  },
})
registerEnumType(DeploymentTrigger, {
  name: 'DeploymentTrigger',
  description: 'What asked for a deployment.',
  valuesConfig: {
    CREATE: { description: 'The creation of the app.' },
    MANUAL: { description: 'deploy or restartStage; also the rebuild of a version whose image is gone.' },
    WEBHOOK: { description: 'A push.' },
    ROLLBACK: { description: 'A rollback.' },
    PROMOTE: { description: 'A promotion from another stage.' },
  },
})
const CODES = Object.keys(DEPLOYMENT_ERROR_CODES) as DeploymentErrorCode[]
/** The codes as an enum's values: each is its own name. */
export const DeploymentErrorCodeEnum = byName(CODES, (code) => code)
registerEnumType(DeploymentErrorCodeEnum, {
  name: 'DeploymentErrorCode',
  description: 'Why a deployment failed.',
  valuesConfig: byName(CODES, (code) => ({ description: DEPLOYMENT_ERROR_CODES[code] })),
})
registerEnumType(LogStream, {
  name: 'LogStream',
  description: 'Who wrote a piece of a log.',
  valuesConfig: {
    SYSTEM: { description: 'Longshore itself.' },
    STDOUT: { description: 'A program, to its standard output.' },
    STDERR: { description: 'A program, to its standard error.' },
  },
})
registerEnumType(Forge, {
  name: 'Forge',
  description: 'A service that hosts repositories.',
  valuesConfig: {
    GITHUB: { description: 'github.com and GitHub Enterprise.' },
    GITLAB: { description: 'gitlab.com and self-managed.' },
    GITEA: { description: 'Gitea and Forgejo.' },
    BITBUCKET: { description: 'Bitbucket Cloud and Data Center.' },
    GENERIC: { description: 'Anything else, such as a post-receive hook.' },
  },
})
registerEnumType(WebhookVerdict, {
  name: 'WebhookVerdict',
  description: 'What came of a request to a webhook.',
  valuesConfig: {
    DEPLOYED: { description: 'At least one stage deploys what was pushed.' },
    IGNORED: { description: 'Genuine, and no stage deploys it: the reason says why.' },
    PONG: { description: 'The forge asked whether anybody is there.' },
    UNREADABLE: { description: 'Genuine, and not what the forge documents.' },
    REFUSED: { description: "Not signed with the webhook's secret: not looked at." },
    RATE_LIMITED: { description: 'More than 30 in a minute: not looked at; the forge may send it again.' },
  },
})

export { DeploymentStatus, DeploymentTrigger, Forge, LogStream, WebhookVerdict }

function byName<Name extends string, Value>(
  names: readonly Name[],
  valueOf: (name: Name) => Value,
): Record<Name, Value> {
  return Object.fromEntries(names.map((name) => [name, valueOf(name)])) as Record<Name, Value>
}
