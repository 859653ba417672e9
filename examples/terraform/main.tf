terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

variable "child_account_id" {
  type        = string
  description = "The account that may assume the role"
}

variable "parent_stack" {
  type        = string
  default     = "sagemaker-external-parent"
  description = "The stack whose provisioner makes the role"
}

# The role is CloudFormation's to keep, so that it is made, changed and removed by the provisioner.
resource "aws_cloudformation_stack" "iris_for_partner" {
  name = "iris-for-partner-by-terraform"

  parameters = {
    ChildAccountId = var.child_account_id
    ParentStack    = var.parent_stack
  }

  template_body = <<-YAML
    AWSTemplateFormatVersion: "2010-09-09"
    Parameters:
      ChildAccountId: { Type: String }
      ParentStack: { Type: String }
    Resources:
      Grant:
        Type: Custom::SageMakerExternalRole
        Properties:
          ServiceToken: !ImportValue { "Fn::Join": ["-", [!Ref ParentStack, ProvisionerArn]] }
          ServiceTimeout: 300
          RoleName: IrisForPartnerByTerraform
          PolicyName: IrisForPartnerByTerraformInvoke
          EndpointNames: [iris]
          TrustedAccountIds: [!Ref ChildAccountId]
    Outputs:
      RoleArn: { Value: !GetAtt Grant.RoleArn }
      ExternalId: { Value: !GetAtt Grant.ExternalId }
  YAML
}

output "role_arn" {
  value = aws_cloudformation_stack.iris_for_partner.outputs["RoleArn"]
}

output "external_id" {
  value = aws_cloudformation_stack.iris_for_partner.outputs["ExternalId"]
}
