@description('The name of the connector in its resource group.')
param name string = 'contoso-bakery'

@description('Where it is: the region of the logic apps that use it.')
param location string = resourceGroup().location

@description('The address that operations are called at.')
param serviceUrl string = 'https://cakes.contoso.com'

@description('Its picture, as a URL.')
param iconUri string = 'data:image/png;base64,${loadFileAsBase64('icon.png')}'

resource connector 'Microsoft.Web/customApis@2016-06-01' = {
  name: name
  location: location
  properties: {
    apiType: 'Rest'
    displayName: 'Contoso Bakery'
    description: 'Orders cakes and tells of orders: the reference app of fastify-logic-apps.'
    brandColor: '#da3b01'
    iconUri: iconUri
    backendService: {
      serviceUrl: serviceUrl
    }
    capabilities: []
    connectionParameters: {}
    swagger: loadJsonContent('apiDefinition.swagger.json')
  }
}

output id string = connector.id
