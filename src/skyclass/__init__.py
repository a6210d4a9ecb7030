"""Classifies the objects of the Sloan Digital Sky Survey and keeps that classifier honest."""
