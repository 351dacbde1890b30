import { Field, ID, InputType } from 'type-graphql'
import { DeploymentStatus, DeploymentTrigger } from './enums.js'
import { DateTime } from './scalars.js'

@InputType('DeploymentFilter', {
  description: 'Which deployments are listed: those that fit all that is given.',
})
export class DeploymentFilter {
  @Field(() => ID, { nullable: true, description: 'Id of the app.' })
  appId?: string | null

  @Field(() => String, { nullable: true, description: 'Name of the stage.' })
  stage?: string | null

  @Field(() => [DeploymentStatus], { nullable: true, description: 'One of these.' })
  status?: DeploymentStatus[] | null

  @Field(() => [DeploymentTrigger], { nullable: true, description: 'One of these.' })
  trigger?: DeploymentTrigger[] | null

  @Field(() => String, { nullable: true, description: 'The ref that was asked for, in full.' })
  ref?: string | null

  @Field(() => DateTime, { nullable: true, description: 'Asked for at this instant or later.' })
  since?: Date | null
}
