{{/* The name of all objects: that of the release, with the chart's if it lacks it. */}}
{{- define "signalbus.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s" .Chart.Name .Release.Name | trunc 63 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "signalbus.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}
