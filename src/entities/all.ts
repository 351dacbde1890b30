import { App } from './app.js'
import { CommitStatusReport, CommitStatusTarget } from './commit-status.js'
import { DeploymentEvent } from './deployment-event.js'
import { Deployment } from './deployment.js'
import { Domain } from './domain.js'
import { Instance } from './instance.js'
import { KnownHost } from './known-host.js'
import { LogChunk } from './log-chunk.js'
import { DeploymentLog } from './deployment-log.js'
import { RefsRequest } from './refs-request.js'
import { StoredRepositoryCredential } from './repository-credential.js'
import { PushComparison } from './push-comparison.js'
import { RepositoryLookup } from './repository-lookup.js'
import { RouteConfirmation } from './route-confirmation.js'
import { RuntimeLogChunk } from './runtime-log-chunk.js'
import { RuntimeLogViewer } from './runtime-log-viewer.js'
import { SeenRef } from './seen-ref.js'
import { Stage } from './stage.js'
import { Variable } from './variable.js'
import { WebhookDelivery } from './webhook-delivery.js'
import { Webhook } from './webhook.js'
import { Worker } from './worker.js'

/** All tables, for the data source. */
export const ENTITIES = [
  App,
  Stage,
  RouteConfirmation,
  Domain,
  Variable,
  Deployment,
  DeploymentEvent,
  DeploymentLog,
  LogChunk,
  RuntimeLogViewer,
  RuntimeLogChunk,
  Worker,
  Instance,
  Webhook,
  WebhookDelivery,
  SeenRef,
  RepositoryLookup,
  PushComparison,
  CommitStatusTarget,
  CommitStatusReport,
  StoredRepositoryCredential,
  KnownHost,
  RefsRequest,
]
