import { Field, ID, InputType } from 'type-graphql'
import { DeploymentStatus, DeploymentTrigger } from './enums.js'
import { DateTime } from './scalars.js'

@InputType('DeploymentFilter', {
  description: 'Selects the deployments that match all given fields.',
})
export class DeploymentFilter {
  @Field(() => ID, { nullable: true, description: 'Id of the app.' })
  appId?: string | null

  @Field(() => String, { nullable: true, description: 'Name of the stage.' })
  stage?: string | null

  @Field(() => [DeploymentStatus], { nullable: true, description: 'Any of these.' })
  status?: DeploymentStatus[] | null

  @Field(() => [DeploymentTrigger], { nullable: true, description: 'Any of these.' })
  trigger?: DeploymentTrigger[] | null

  @Field(() => String, { nullable: true, description: 'The requested ref, in full.' })
  ref?: string | null

  @Field(() => DateTime, { nullable: true, description: 'Requested at or after this time.' })
  since?: Date | null
}
