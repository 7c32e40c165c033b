# The embedded benchmark of five bands: procedural fields, drawn on first use into data/minibands.
# Source summer; unseen targets autumn, drought, haze, dusk. Red, green, blue, near infrared, height.
benchmark = 'minibands'
