import { registerEnumType } from 'type-graphql'
import { DeploymentStatus, DeploymentTrigger, LogSource } from '../entities/deployment-status.js'

registerEnumType(DeploymentStatus, {
  name: 'DeploymentStatus',
  valuesConfig: {
    PENDING: { description: 'Waits in the queue.' },
    STARTING: { description: 'Its container runs and is being checked.' },
    ROUTING: { description: 'Traffic is being moved to it.' },
    RUNNING: { description: 'Serves its stage. Exactly one per stage.' },
    RETIRED: { description: 'Served once; a newer deployment took over, or the stage was stopped.' },
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
registerEnumType(DeploymentTrigger, { name: 'DeploymentTrigger' })
registerEnumType(LogSource, { name: 'LogStream' })

export { DeploymentStatus, DeploymentTrigger, LogSource }
