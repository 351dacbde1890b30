import { registerEnumType } from 'type-graphql'
import { DEPLOYMENT_ERROR_CODES, type DeploymentErrorCode } from '../entities/deployment-error-code.js'
import { DeploymentStatus, DeploymentTrigger, LogStream } from '../entities/deployment-status.js'
import { RepositoryCredentialKind } from '../entities/repository-credential.js'
import { Forge, WebhookVerdict } from '../entities/webhook-delivery.js'

registerEnumType(DeploymentStatus, {
  name: 'DeploymentStatus',
  description: 'The state of a deployment.',
  valuesConfig: {
    PENDING: { description: 'Waiting in the queue.' },
    CLONING: { description: 'Fetching its commit.' },
    BUILDING: { description: 'Building its image.' },
    STARTING: { description: 'Checking its container, which is running.' },
    ROUTING: { description: 'Moving traffic to it.' },
    RUNNING: { description: 'Serving its stage. At most one per stage.' },
    RETIRED: {
      description:
        'Served until a newer deployment took over or the stage was stopped. Serves again (RUNNING) if its successor is ROLLED_BACK or the stage is started.',
    },
    FAILED: {
      description: 'Failed before it served, or during its watch with no version to return to: see `error`.',
    },
    CANCELLED: { description: 'Cancelled before traffic moved.' },
    SUPERSEDED: {
      description: 'Replaced by a newer deployment of the stage before it served.',
    },
    ROLLED_BACK: {
      description: 'Served, failed during its watch, and traffic moved back to the previous deployment.',
    },
  },
})
registerEnumType(DeploymentTrigger, {
  name: 'DeploymentTrigger',
  description: 'What requested a deployment.',
  valuesConfig: {
    CREATE: { description: 'The creation of the app.' },
    MANUAL: { description: 'deploy or restartStage; also the rebuild of a version whose image is gone.' },
    WEBHOOK: { description: 'A push.' },
    POLL: { description: 'A lookup of the repository, which found a commit that no push had brought.' },
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
registerEnumType(RepositoryCredentialKind, {
  name: 'RepositoryCredentialKind',
  description: 'The kinds of repository credentials.',
  valuesConfig: {
    TOKEN: { description: 'A user name and a token, for HTTPS.' },
    DEPLOY_KEY: { description: 'An ed25519 key pair, for SSH.' },
  },
})
registerEnumType(LogStream, {
  name: 'LogStream',
  description: 'Where log lines come from.',
  valuesConfig: {
    SYSTEM: { description: 'Longshore itself.' },
    STDOUT: { description: 'Standard output of a program.' },
    STDERR: { description: 'Standard error of a program.' },
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
  description: 'Outcome of a request to a webhook.',
  valuesConfig: {
    DEPLOYED: { description: 'At least one stage deploys the push.' },
    COMPARING: { description: 'A worker compares the push with what serves, then deploys or ignores it.' },
    IGNORED: { description: 'Genuine, but no stage deploys it; see the reason.' },
    PONG: { description: 'A ping from the forge.' },
    UNREADABLE: { description: 'Genuine, but not in the format that the forge documents.' },
    REFUSED: {
      description: "Not processed: not signed with the webhook's secret, or too large; see the reason.",
    },
    RATE_LIMITED: {
      description:
        'Over 30 per minute that deploy: not deployed. Its branch is looked up when the minute is over.',
    },
  },
})

export { DeploymentStatus, DeploymentTrigger, Forge, LogStream, RepositoryCredentialKind, WebhookVerdict }

function byName<Name extends string, Value>(
  names: readonly Name[],
  valueOf: (name: Name) => Value,
): Record<Name, Value> {
  return Object.fromEntries(names.map((name) => [name, valueOf(name)])) as Record<Name, Value>
}
